"""A team keeps at least one owner with an active account."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import User
from opportune.contrib.teams import service
from opportune.contrib.teams.models import TeamRole
from opportune.db.database import Database
from opportune.errors import FieldErrors
from opportune.testing.factories import PASSWORD
from tests.opportune.accounts.sent_emails import read_sent_subjects
from tests.opportune.accounts.stored_rows import change
from tests.opportune.contrib.teams.conftest import Clients, Crew
from tests.opportune.contrib.teams.members import make_owner, member_id, roles_in
from tests.opportune.contrib.teams.test_invitations import invite

REFUSAL = "The team would have no active owner"
LONG_NAME = "URGENT: your account will be closed today, sign in at https://evil.example now"


@pytest.fixture
async def inactive_owner(database: Database, crew: Crew) -> User:
    """A second owner of the crew, with a deactivated account."""
    user = crew.users["admin"]
    await change(database, user, is_active=False)
    await make_owner(database, crew.team, user)
    return user


async def test_last_active_owner_cannot_leave(
    clients: Clients, database: Database, crew: Crew, inactive_owner: User
) -> None:
    owner = crew.users["owner"]
    number = await member_id(database, crew.team, owner)
    async with database.writer() as session:
        with pytest.raises(FieldErrors, match="no active owner"):
            await service.leave_team(session, crew.team.id, owner)
        with pytest.raises(FieldErrors, match="no active owner"):
            await service.update_role(session, crew.team.id, owner, number, TeamRole.MEMBER)
    assert (await roles_in(database, crew.team))["owner"] == "owner"
    response = await clients["owner"].request("DELETE", "/api/v1/users/me", json={"current_password": PASSWORD})
    assert (response.status_code, "no active owner" in response.text) == (409, True)


async def test_admin_keeps_the_last_owner(superuser_client: AsyncClient, database: Database, crew: Crew) -> None:
    number = await member_id(database, crew.team, crew.users["owner"])
    times = {"joined_at": "2026-01-01T00:00", "switched_at": "2026-01-01T00:00"}
    form = {"team_id": crew.team.id, "user_id": crew.users["owner"].id, "role": "member", **times, "save": "Save"}
    page = await superuser_client.post(f"/admin/team-member/edit/{number}", data=form)
    assert (page.status_code, REFUSAL in page.text) == (400, True)
    deletion = {"pks": str(number), "confirmed": "yes"}
    page = await superuser_client.post("/admin/team-member/delete", data=deletion, follow_redirects=True)
    assert REFUSAL in page.text
    assert (await roles_in(database, crew.team))["owner"] == "owner"


async def test_admin_deletes_no_group_with_all_owners(
    superuser_client: AsyncClient, database: Database, crew: Crew
) -> None:
    await make_owner(database, crew.team, crew.users["member"])
    numbers = [str(await member_id(database, crew.team, crew.users[name])) for name in ("owner", "member")]
    data = {"pks": ",".join(numbers), "confirmed": "yes"}
    page = await superuser_client.post("/admin/team-member/delete", data=data, follow_redirects=True)
    assert REFUSAL in page.text
    assert len(await roles_in(database, crew.team)) == 3


async def test_inactive_owner_can_be_removed(database: Database, crew: Crew, inactive_owner: User) -> None:
    number = await member_id(database, crew.team, inactive_owner)
    async with database.writer() as session:
        await service.delete_member(session, crew.team.id, crew.users["owner"], number)
    assert await roles_in(database, crew.team) == {"owner": "owner", "member": "member"}


async def test_team_cannot_be_handed_over_to_an_inactive_member(
    clients: Clients, database: Database, crew: Crew, inactive_owner: User
) -> None:
    form = {"email": inactive_owner.email, "current_password": PASSWORD}
    page = await clients["owner"].post(f"/teams/{crew.team.id}/hand-over", data=form)
    assert (page.status_code, "This account is deactivated" in page.text) == (422, True)


async def test_long_team_name_is_cut_in_email_subjects(app: FastAPI, clients: Clients, crew: Crew) -> None:
    await clients["owner"].post(f"/teams/{crew.team.id}/settings", data={"name": LONG_NAME})
    await invite(app, clients["owner"], crew)
    form = {"email": "member@example.com", "current_password": PASSWORD}
    await clients["owner"].post(f"/teams/{crew.team.id}/hand-over", data=form)
    assert [" ".join(subject.split()) for _, subject in await read_sent_subjects(app)] == [
        "owner@example.com invites you to URGENT: your account will be closed tod…",
        "URGENT: your account will be closed tod… is yours",
    ]
