"""The only active owner of a team can be deactivated only by force."""

import asyncio

import pytest
from httpx2 import AsyncClient, Response

from opportune.accounts.models import User
from opportune.cli import transaction
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.errors import FieldErrors
from opportune.testing.commands import Oppman
from tests.opportune.contrib.teams.conftest import Crew
from tests.opportune.contrib.teams.members import make_owner, roles_in
from tests.opportune.stored_rows import reload

REFUSAL = "Crew would have no active owner. Make another active member owner first"


async def deactivate(database: Database, *users: User) -> None:
    async with database.writer() as session:
        for user in users:
            (await session.get_one(User, user.id)).is_active = False


async def run_action(superuser: AsyncClient, name: str, *users: User) -> Response:
    numbers = ",".join(str(user.id) for user in users)
    address = f"/admin/user/action/{name}?pks={numbers}"
    return await superuser.post(address, data={"confirmed": "yes"}, follow_redirects=True)


@pytest.fixture
async def co_owner(database: Database, crew: Crew) -> User:
    await make_owner(database, crew.team, crew.users["admin"])
    return crew.users["admin"]


async def test_admin_keeps_the_only_owner_active(superuser_client: AsyncClient, database: Database, crew: Crew) -> None:
    owner = crew.users["owner"]
    page = await superuser_client.post(f"/admin/user/edit/{owner.id}", data={"email": owner.email, "save": "Save"})
    assert (page.status_code, REFUSAL in page.text) == (400, True)
    assert REFUSAL in (await run_action(superuser_client, "deactivate", owner)).text
    assert (await reload(database, owner)).is_active
    await run_action(superuser_client, "force-deactivation", owner)
    assert not (await reload(database, owner)).is_active
    assert (await roles_in(database, crew.team))["owner"] == "owner"


@pytest.mark.database("sqlite", "postgresql")
async def test_all_owners_cannot_be_deactivated_in_one_flush(database: Database, crew: Crew, co_owner: User) -> None:
    with pytest.raises(FieldErrors, match=REFUSAL):
        await deactivate(database, crew.users["owner"], co_owner)


async def test_all_owners_cannot_be_deleted_in_one_flush(database: Database, crew: Crew, co_owner: User) -> None:
    async with database.writer() as session:
        for user in (crew.users["owner"], co_owner):
            await session.delete(await session.get_one(User, user.id))
        with pytest.raises(FieldErrors, match="Crew would have no active owner"):
            await session.flush()
        await session.rollback()


@pytest.mark.database("postgresql")
async def test_one_of_two_concurrently_deactivated_owners_stays(database: Database, crew: Crew, co_owner: User) -> None:
    async with asyncio.timeout(30):
        changes = (deactivate(database, user) for user in (crew.users["owner"], co_owner))
        results = await asyncio.gather(*changes, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["FieldErrors", "NoneType"]


async def test_command_keeps_the_only_owner_unless_forced(
    settings: Settings, database: Database, crew: Crew, monkeypatch: pytest.MonkeyPatch, oppman: Oppman
) -> None:
    monkeypatch.setattr(transaction, "get_settings", lambda: settings)
    command = ("users", "change", crew.users["owner"].email, "--inactive")
    assert (await asyncio.to_thread(oppman, *command)).line().startswith(f"{REFUSAL} (")
    assert (await reload(database, crew.users["owner"])).is_active
    assert (await asyncio.to_thread(oppman, *command, "--force")).code == 0
    assert not (await reload(database, crew.users["owner"])).is_active
