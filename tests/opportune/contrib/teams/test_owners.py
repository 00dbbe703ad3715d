"""Owners of a team, which has at least one, and concurrent changes. SQLite and PostgreSQL lock differently."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.kinds import add_event_kinds
from opportune.accounts.models import User
from opportune.contrib.teams import invitations, memberships, service
from opportune.contrib.teams.feature import teams
from opportune.contrib.teams.models import Team, TeamInvitation, TeamMember, TeamRole
from opportune.contrib.teams.schemas import InvitationCreate, TeamCreate
from opportune.db import Database, utc_now
from opportune.errors import FieldErrors, Forbidden, NotFound
from opportune.testing import PASSWORD, make_team, make_user
from tests.opportune.accounts.sent_emails import read_sent_subjects
from tests.opportune.contrib.teams.conftest import Clients, Crew
from tests.opportune.contrib.teams.members import add_member, make_owner, member_id, roles_in
from tests.opportune.contrib.teams.test_invitations import invite
from tests.opportune.stored_rows import add_rows, change, has_waiting_lock, read_all, read_one, reload
from tests.opportune.waiting import wait_until

Action = Callable[[AsyncSession], Awaitable[Any]]
REFUSAL = "The team would have no active owner"
LONG_NAME = "URGENT: your account will be closed today, sign in at https://evil.example now"


async def run_concurrently(database: Database, *actions: Action) -> list[Any]:
    async def run(action: Action) -> Any:
        async with database.writer() as session:
            return await action(session)

    async with asyncio.timeout(30):
        return await asyncio.gather(*map(run, actions), return_exceptions=True)


@pytest.fixture(autouse=True)
def _known_events() -> None:
    add_event_kinds([teams])  # no test here starts a site


def errors_in(results: list[Any]) -> list[type[Exception]]:
    return [type(result) for result in results if isinstance(result, Exception)]


@pytest.fixture
async def ann(database: Database) -> User:
    return await make_user(database, "ann@example.com", is_verified=True)


@pytest.fixture
async def bob(database: Database) -> User:
    return await make_user(database, "bob@example.com", is_verified=True)


@pytest.fixture
async def team(database: Database, ann: User, bob: User) -> Team:
    team = await make_team(database, ann)
    await add_member(database, team, bob, TeamRole.OWNER)
    return team


async def store_invitation(database: Database, team: Team, by: User, email: str, role: TeamRole) -> TeamInvitation:
    invitation = make_invitation(team, by, email, role)
    await add_rows(database, invitation)
    return invitation


def make_invitation(team: Team, by: User, email: str, role: TeamRole) -> TeamInvitation:
    values: Any = {"invited_by_id": by.id, "expires_at": utc_now() + timedelta(days=1)}
    return TeamInvitation(team_id=team.id, email=email, role=role, token_hash=f"x{team.id}", **values)


@pytest.mark.database("postgresql")
async def test_last_two_owners_cannot_both_leave(database: Database, team: Team, ann: User, bob: User) -> None:
    leave = (lambda session, user=user: memberships.leave_team(session, team.id, user) for user in (ann, bob))
    assert errors_in(await run_concurrently(database, *leave)) == [FieldErrors]
    assert list((await roles_in(database, team)).values()) == ["owner"]


@pytest.mark.database("postgresql")
async def test_last_owners_cannot_both_go(database: Database, team: Team, ann: User, bob: User) -> None:
    await add_member(database, team, await make_user(database, "cleo@example.com"), TeamRole.MEMBER)

    async def delete_bob(session: AsyncSession) -> None:
        await session.delete(await session.get(User, bob.id))
        await session.flush()

    results = await run_concurrently(
        database, lambda session: memberships.leave_team(session, team.id, ann), delete_bob
    )
    assert errors_in(results) == [FieldErrors]
    assert list((await roles_in(database, team)).values()).count("owner") == 1


@pytest.mark.database("postgresql")
async def test_invitation_accepted_twice_adds_one_member(database: Database, ann: User, bob: User) -> None:
    team = await make_team(database, ann)
    invitation = await store_invitation(database, team, ann, bob.email, TeamRole.ADMIN)
    accept: Action = lambda session: invitations.accept(session, invitation.id, bob)  # noqa: E731 - used twice
    kinds = {type(result) for result in await run_concurrently(database, accept, accept)}
    assert {Team} <= kinds <= {Team, NotFound}
    assert await roles_in(database, team) == {"ann": "owner", "bob": "admin"}


async def run_after(database: Database, first: Action, second: Action) -> list[Any]:
    """Run the second action when the first one has changed its rows and holds their locks."""
    began = asyncio.Event()

    async def hold(session: AsyncSession) -> None:
        await first(session)
        began.set()
        await wait_until(lambda: has_waiting_lock(database))

    async def follow(session: AsyncSession) -> None:
        await began.wait()
        await second(session)

    return await run_concurrently(database, hold, follow)


@pytest.mark.database("postgresql")
async def test_demoted_owner_cannot_finish_a_change(database: Database, team: Team, ann: User, bob: User) -> None:
    bobs_id = await member_id(database, team, bob)
    results = await run_after(
        database,
        lambda session: memberships.update_role(session, team.id, ann, bobs_id, TeamRole.MEMBER),
        lambda session: service.rename_team(session, team.id, bob, "Mine"),
    )
    assert [type(result) for result in results] == [type(None), Forbidden]
    assert (await reload(database, team)).name == "Crew"


@pytest.mark.database("postgresql")
async def test_invitation_of_a_removed_member_is_refused(database: Database, team: Team, ann: User, bob: User) -> None:
    cleo = await make_user(database, "cleo@example.com", is_verified=True)
    invitation = await store_invitation(database, team, bob, cleo.email, TeamRole.OWNER)
    bobs_id = await member_id(database, team, bob)
    results = await run_after(
        database,
        lambda session: memberships.delete_member(session, team.id, ann, bobs_id),
        lambda session: invitations.accept(session, invitation.id, cleo),
    )
    assert [type(result) for result in results] == [type(None), NotFound]
    assert await roles_in(database, team) == {"ann": "owner"}


@pytest.mark.database("postgresql")
async def test_concurrent_joins_respect_the_limit_of_teams(
    database: Database, ann: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_TEAMS_PER_USER", 1)
    teams = [await make_team(database, ann), await make_team(database, ann)]
    received = [await store_invitation(database, team, ann, bob.email, TeamRole.MEMBER) for team in teams]
    results = await run_concurrently(
        database,
        *(lambda session, row=row: invitations.accept(session, row.id, bob) for row in received),
        lambda session: service.create_team(session, bob, TeamCreate(name="Own")),
    )
    assert sorted(type(result).__name__ for result in results) == ["FieldErrors", "FieldErrors", "Team"]
    assert await read_one(database, TeamMember, user_id=bob.id)
    assert len(await read_all(database, TeamInvitation)) == len(errors_in(results[:2]))


@pytest.mark.database("sqlite", "postgresql")
async def test_parallel_invitations_are_one(database: Database, team: Team, ann: User, bob: User) -> None:
    new = InvitationCreate(email="new@example.com")
    results = await run_concurrently(
        database, *(lambda session, user=user: invitations.invite(session, team.id, user, new) for user in (ann, bob))
    )
    assert errors_in(results) == []
    assert await read_one(database, TeamInvitation)


async def test_invitation_keeps_the_role_of_a_member(database: Database, team: Team, ann: User, bob: User) -> None:
    invitation = await store_invitation(database, team, ann, bob.email, TeamRole.MEMBER)
    (result,) = await run_concurrently(database, lambda session: invitations.accept(session, invitation.id, bob))
    assert isinstance(result, Team)
    assert await roles_in(database, team) == {"ann": "owner", "bob": "owner"}


@pytest.mark.database("postgresql")
async def test_deletion_waits_for_a_row_being_written(database: Database, ann: User) -> None:
    team = await make_team(database, ann)
    lock = select(col(TeamMember.role)).where(col(TeamMember.team_id) == team.id).with_for_update(read=True)

    async def delete() -> None:
        async with database.writer() as session:
            await service.delete_team(session, database, team.id, ann)

    async with asyncio.timeout(30):
        async with database.writer() as session:
            await session.execute(lock)  # as in the data layer before a write
            deletion = asyncio.create_task(delete())
            await wait_until(lambda: has_waiting_lock(database))
            session.add(make_invitation(team, ann, "new@example.com", TeamRole.MEMBER))
            await session.flush()
        await deletion
    assert await roles_in(database, team) == {}


@pytest.fixture
async def inactive_owner(database: Database, crew: Crew) -> User:
    user = crew.users["admin"]
    await change(database, user, is_active=False)
    await make_owner(database, crew.team, user)
    return user


async def test_last_owner_cannot_leave(clients: Clients, database: Database, crew: Crew, inactive_owner: User) -> None:
    owner = crew.users["owner"]
    number = await member_id(database, crew.team, owner)
    async with database.writer() as session:
        with pytest.raises(FieldErrors, match="no active owner"):
            await memberships.leave_team(session, crew.team.id, owner)
        with pytest.raises(FieldErrors, match="no active owner"):
            await memberships.update_role(session, crew.team.id, owner, number, TeamRole.MEMBER)
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


async def test_admin_cannot_delete_all_owners(superuser_client: AsyncClient, database: Database, crew: Crew) -> None:
    await make_owner(database, crew.team, crew.users["member"])
    numbers = [str(await member_id(database, crew.team, crew.users[name])) for name in ("owner", "member")]
    data = {"pks": ",".join(numbers), "confirmed": "yes"}
    page = await superuser_client.post("/admin/team-member/delete", data=data, follow_redirects=True)
    assert REFUSAL in page.text
    assert len(await roles_in(database, crew.team)) == 3


async def test_team_cannot_be_handed_to_an_inactive_member(clients: Clients, crew: Crew, inactive_owner: User) -> None:
    form = {"email": inactive_owner.email, "current_password": PASSWORD}
    page = await clients["owner"].post(f"/teams/{crew.team.id}/hand-over", data=form)
    assert (page.status_code, "This account is deactivated" in page.text) == (422, True)


async def test_long_team_name_is_cut_in_email_subjects(app: FastAPI, clients: Clients, crew: Crew) -> None:
    await clients["owner"].post(f"/teams/{crew.team.id}/settings", data={"name": LONG_NAME})
    await invite(app, clients["owner"], crew)
    form = {"email": "member@example.com", "current_password": PASSWORD}
    await clients["owner"].post(f"/teams/{crew.team.id}/hand-over", data=form)
    invitation, handover = [" ".join(subject.split()) for _, subject in await read_sent_subjects(app)]
    assert invitation == "owner@example.com invites you to URGENT: your account will be closed tod…"
    assert handover == "URGENT: your account will be closed tod… is yours"
