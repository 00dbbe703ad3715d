"""The admin refuses to remove the last active owner of a team."""

from httpx2 import AsyncClient, Response

from opportune.contrib.teams.models import TeamRole
from opportune.db.database import Database
from tests.opportune.contrib.teams.conftest import Crew
from tests.opportune.contrib.teams.members import member_id, roles_in

REFUSAL = "The team would have no active owner"


async def set_role(admin: AsyncClient, database: Database, crew: Crew, name: str, role: TeamRole) -> Response:
    number = await member_id(database, crew.team, crew.users[name])
    times = {"joined_at": "2026-01-01T00:00", "switched_at": "2026-01-01T00:00"}
    data = {"team_id": crew.team.id, "user_id": crew.users[name].id, "role": role.value, **times, "save": "Save"}
    return await admin.post(f"/admin/team-member/edit/{number}", data=data)


async def delete(admin: AsyncClient, database: Database, crew: Crew, *names: str) -> Response:
    numbers = [str(await member_id(database, crew.team, crew.users[name])) for name in names]
    data = {"pks": ",".join(numbers), "confirmed": "yes"}
    return await admin.post("/admin/team-member/delete", data=data, follow_redirects=True)


async def test_last_owner_keeps_the_role(superuser_client: AsyncClient, database: Database, crew: Crew) -> None:
    page = await set_role(superuser_client, database, crew, "owner", TeamRole.MEMBER)
    assert (page.status_code, REFUSAL in page.text) == (400, True)
    assert (await roles_in(database, crew.team))["owner"] == "owner"


async def test_first_of_two_owners_can_be_demoted(
    superuser_client: AsyncClient, database: Database, crew: Crew
) -> None:
    await set_role(superuser_client, database, crew, "member", TeamRole.OWNER)
    await set_role(superuser_client, database, crew, "owner", TeamRole.MEMBER)
    assert await roles_in(database, crew.team) == {"owner": "member", "admin": "admin", "member": "owner"}


async def test_last_owners_are_not_deleted(superuser_client: AsyncClient, database: Database, crew: Crew) -> None:
    await set_role(superuser_client, database, crew, "member", TeamRole.OWNER)
    page = await delete(superuser_client, database, crew, "owner", "member")
    assert REFUSAL in page.text
    assert len(await roles_in(database, crew.team)) == 3


async def test_other_members_are_deleted(superuser_client: AsyncClient, database: Database, crew: Crew) -> None:
    await delete(superuser_client, database, crew, "admin", "member")
    assert await roles_in(database, crew.team) == {"owner": "owner"}
