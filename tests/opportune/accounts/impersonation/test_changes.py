"""Changes by a superuser during an impersonation."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import MetaData, Table, select, update

from opportune.accounts import CurrentUser
from opportune.accounts.events import impersonated_changes
from opportune.accounts.events.service import describe_event
from opportune.accounts.models import AccountEvent, User
from opportune.accounts.request_rules import OWNER_ONLY, READ_ONLY
from opportune.contrib.teams.models import Team, TeamInvitation, TeamMember, TeamRole
from opportune.db import Database, WriteSession
from opportune.testing import make_team, make_user, signed_in_client
from tests.opportune.accounts.impersonation.conftest import ADA, END, impersonate, read_events
from tests.opportune.accounts.sent_emails import read_sent_subjects, settings
from tests.opportune.stored_rows import add_rows, read_all, read_one, reload

__all__ = ["settings"]  # a fixture


@pytest.fixture
async def team(database: Database, ada: User) -> Team:
    return await make_team(database, ada, name="Crew")


async def read_event_texts(app: FastAPI, user: User) -> list[str]:
    return [describe_event(event) for event in await read_events(app.state.database, user)]


async def read_team_name(database: Database) -> str:
    return str((await read_one(database, Team)).name)


async def test_impersonation_is_read_only(boss_client: AsyncClient, ada: User, team: Team, database: Database) -> None:
    await impersonate(boss_client, ada)
    page = await boss_client.get(f"/teams/{team.id}")
    assert (page.status_code, "You can read, but not change anything." in page.text) == (200, True)
    renamed = await boss_client.post(f"/teams/{team.id}/settings", data={"name": "Changed"})
    assert (renamed.status_code, READ_ONLY in renamed.text) == (403, True)
    assert (await boss_client.patch(f"/api/v1/teams/{team.id}", json={"name": "Changed"})).status_code == 403
    assert (await boss_client.delete(f"/api/v1/teams/{team.id}/members/1")).status_code == 403
    assert await read_team_name(database) == "Crew"
    assert (await boss_client.post(END)).status_code == 303


@pytest.mark.database("sqlite", "postgresql")
async def test_changes_are_listed_in_events(app: FastAPI, boss_client: AsyncClient, ada: User, team: Team) -> None:
    await impersonate(boss_client, ada, may_write=True)
    page = (await boss_client.get(f"/teams/{team.id}")).text
    assert "Your changes are made in their name, and they see them." in page
    assert (await boss_client.post(f"/teams/{team.id}/settings", data={"name": "Changed"})).status_code == 303
    await boss_client.post("/teams/new", data={"name": "Second"})
    await boss_client.post(END)
    assert await read_event_texts(app, ada) == [
        "A superuser signed in as you, to change something",
        "A superuser, signed in as you, changed Team “Changed”",
        "You created the team Second",
        "A superuser, signed in as you, created Team “Second”, created Team member 2",
        "The superuser left your account",
    ]
    assert all(event.actor_id and not event.address for event in await read_events(app.state.database, ada))
    assert await read_sent_subjects(app) == [(ADA, "A superuser signed in as you, to change something")]
    async with signed_in_client(app, ada) as user_browser:
        assert "changed Team “Changed”" in (await user_browser.get("/accounts/events")).text


async def rename_beside_a_failed_savepoint(user: CurrentUser, session: WriteSession) -> None:
    (await session.scalars(select(Team))).one().name = "Changed"
    async with session.begin_nested() as savepoint:
        await session.execute(update(Team).values(name="Failed"))
        await savepoint.rollback()


async def rename_by_statement(user: CurrentUser, session: WriteSession) -> None:
    await session.execute(update(Team).values(name="By statement"))


async def rename_in_a_session_opened_before_the_user(session: WriteSession, user: CurrentUser) -> None:
    (await session.scalars(select(Team))).one().name = "Changed"


@pytest.mark.parametrize(
    ("rename", "change"),
    [
        (rename_beside_a_failed_savepoint, "changed Team “Changed”"),
        (rename_by_statement, "changed Team (several rows)"),
        (rename_in_a_session_opened_before_the_user, "changed Team “Changed”"),
    ],
)
async def test_other_changes_are_listed(
    app: FastAPI, boss_client: AsyncClient, ada: User, team: Team, rename: Callable[..., Any], change: str
) -> None:
    app.add_api_route("/rename", rename, methods=["POST"])
    await impersonate(boss_client, ada, may_write=True)
    await boss_client.post("/rename")
    assert (await read_event_texts(app, ada))[1:] == [f"A superuser, signed in as you, {change}"]


def test_internal_tables_are_not_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(impersonated_changes, "installed_names", lambda: ["jobs", "jobs_board", "accounts_events"])
    names = ("jobs_job", "admin_import", "search_word", "accounts_event", "jobs_board_post", "accounts_events_day")
    tables = [Table(name, MetaData()) for name in names]
    assert [table.name for table in filter(impersonated_changes.is_content, tables)] == [*names[-2:]]


async def test_team_access_is_refused(boss_client: AsyncClient, ada: User, team: Team, database: Database) -> None:
    bob = await make_user(database, "bob@example.com", is_verified=True)
    await add_rows(database, member := TeamMember(team_id=team.id, user_id=bob.id, role=TeamRole.MEMBER))
    await impersonate(boss_client, ada, may_write=True)
    invitation = {"email": "boss@example.com", "role": "owner"}
    path, api = f"/teams/{team.id}", f"/api/v1/teams/{team.id}"
    for response in (
        await boss_client.post(f"{path}/invitations", data=invitation),
        await boss_client.post(f"{api}/invitations", json=invitation),
        await boss_client.post(f"{path}/members/{member.id}/role", data={"role": "owner"}),
        await boss_client.patch(f"{api}/members/{member.id}", json={"role": "owner"}),
        await boss_client.post(f"{path}/hand-over", data={"hand-over-email": bob.email}),
        await boss_client.post(f"{api}/hand-over", json={"email": bob.email}),
        await boss_client.post("/teams/invitations/1/accept"),
        await boss_client.post("/api/v1/teams/invitations/1/accept"),
    ):
        assert (response.status_code, OWNER_ONLY in response.text) == (403, True), response.url
    assert await read_all(database, TeamInvitation) == []
    assert (await reload(database, member)).role == TeamRole.MEMBER


@pytest.mark.parametrize("root_path", ["", "/site"])
async def test_personal_pages_are_closed(app: FastAPI, boss_client: AsyncClient, ada: User, root_path: str) -> None:
    await impersonate(boss_client, ada, may_write=True)
    transport = ASGITransport(app, root_path=root_path)
    async with AsyncClient(transport=transport, base_url="http://testserver", cookies=boss_client.cookies) as client:
        for page in ("tokens", "data/export"):
            assert (await client.get(f"{root_path}/accounts/{page}")).status_code == 403


@pytest.mark.database("postgresql")
async def test_change_and_event_are_atomic(app: FastAPI, boss_client: AsyncClient, ada: User, team: Team) -> None:
    async def fail(user: CurrentUser, session: WriteSession) -> None:
        (await session.get_one(Team, team.id)).name = "Changed"
        await session.flush()
        raise RuntimeError

    app.add_api_route("/fail", fail, methods=["POST"])
    await impersonate(boss_client, ada, may_write=True)
    await boss_client.post("/fail")
    assert await read_all(app, AccountEvent, kind="updated_by_superuser") == []
    assert await read_team_name(app.state.database) == "Crew"
    await boss_client.post(f"/teams/{team.id}/settings", data={"name": "Changed"})
    assert (await read_event_texts(app, ada))[-1] == "A superuser, signed in as you, changed Team “Changed”"


async def test_failed_change_is_not_listed(app: FastAPI, boss_client: AsyncClient, ada: User, team: Team) -> None:
    async def fail(user: CurrentUser, session: WriteSession) -> None:
        (await session.get_one(Team, team.id)).name = "Changed"
        await session.flush()
        await session.rollback()

    app.add_api_route("/fail", fail, methods=["POST"])
    await impersonate(boss_client, ada, may_write=True)
    await boss_client.post("/fail")
    assert len(await read_event_texts(app, ada)) == 1
