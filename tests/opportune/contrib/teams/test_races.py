"""Concurrent changes of one team. SQLite and PostgreSQL lock differently, so most tests name the database."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.contrib.teams import invitations, service
from opportune.contrib.teams.models import Team, TeamInvitation, TeamMember, TeamRole
from opportune.contrib.teams.schemas import InvitationCreate, TeamCreate
from opportune.contrib.teams.testing import make_team
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.errors import FieldErrors, Forbidden, NotFound
from opportune.testing.factories import make_user
from tests.opportune.contrib.teams.members import member_id, roles_in

Action = Callable[[AsyncSession], Awaitable[Any]]


async def run_concurrently(database: Database, *actions: Action) -> list[Any]:
    """Run the actions in concurrent transactions and return their results or errors."""

    async def run(action: Action) -> Any:
        async with database.writer() as session:
            return await action(session)

    async with asyncio.timeout(30):
        return await asyncio.gather(*map(run, actions), return_exceptions=True)


async def make_users(database: Database) -> tuple[User, User]:
    return await make_user(database, "ann@example.com", is_verified=True), await make_user(
        database, "bob@example.com", is_verified=True
    )


async def make_shared_team(database: Database, ann: User, bob: User) -> Team:
    team = await make_team(database, ann)
    async with database.writer() as session:
        session.add(TeamMember(team_id=team.id, user_id=bob.id, role=TeamRole.OWNER))
    return team


def make_invitation(team: Team, by: User, email: str, role: TeamRole) -> TeamInvitation:
    ends = utc_now() + timedelta(days=1)
    return TeamInvitation(
        team_id=team.id, email=email, role=role, token_hash=f"x{team.id}", invited_by_id=by.id, expires_at=ends
    )


@pytest.mark.database("postgresql")
async def test_last_two_owners_cannot_both_leave(database: Database) -> None:
    ann, bob = await make_users(database)
    team = await make_shared_team(database, ann, bob)

    results = await run_concurrently(
        database, *(lambda session, user=user: service.leave_team(session, team.id, user) for user in (ann, bob))
    )

    assert [type(result) for result in results if isinstance(result, Exception)] == [FieldErrors]
    assert list((await roles_in(database, team)).values()) == ["owner"]


@pytest.mark.database("postgresql")
async def test_last_owners_cannot_leave_and_delete_the_account(database: Database) -> None:
    ann, bob = await make_users(database)
    team = await make_shared_team(database, ann, bob)
    member = await make_user(database, "cleo@example.com")
    async with database.writer() as session:
        session.add(TeamMember(team_id=team.id, user_id=member.id, role=TeamRole.MEMBER))

    async def delete_bob(session: AsyncSession) -> None:
        await session.delete(await session.get(User, bob.id))
        await session.flush()

    results = await run_concurrently(database, lambda session: service.leave_team(session, team.id, ann), delete_bob)

    assert [type(result) for result in results if isinstance(result, Exception)] == [FieldErrors]
    assert list((await roles_in(database, team)).values()).count("owner") == 1


@pytest.mark.database("postgresql")
async def test_invitation_accepted_twice_adds_one_member(database: Database) -> None:
    ann, bob = await make_users(database)
    team = await make_team(database, ann)
    async with database.writer() as session:
        session.add(invitation := make_invitation(team, ann, bob.email, TeamRole.ADMIN))
    accept: Action = lambda session: invitations.accept(session, invitation.id, bob)  # noqa: E731 - used twice

    results = await run_concurrently(database, accept, accept)

    assert {type(result) for result in results} <= {Team, NotFound}
    assert Team in {type(result) for result in results}
    assert await roles_in(database, team) == {"ann": "owner", "bob": "admin"}


@pytest.mark.database("postgresql")
async def test_demoted_owner_cannot_finish_a_change(database: Database) -> None:
    ann, bob = await make_users(database)
    team = await make_shared_team(database, ann, bob)
    bobs_id, began = await member_id(database, team, bob), asyncio.Event()

    async def demote(session: AsyncSession) -> None:
        await service.update_role(session, team.id, ann, bobs_id, TeamRole.MEMBER)
        began.set()
        await asyncio.sleep(0)  # the other task reaches the lock

    async def rename(session: AsyncSession) -> None:
        await began.wait()
        await service.rename_team(session, team.id, bob, "Mine")

    results = await run_concurrently(database, demote, rename)

    assert [type(result) for result in results] == [type(None), Forbidden]
    async with database.reader() as session:
        assert (await session.scalars(select(col(Team.name)))).all() == ["Crew"]


@pytest.mark.database("postgresql")
async def test_invitation_of_a_removed_member_is_refused(database: Database) -> None:
    ann, bob = await make_users(database)
    team = await make_shared_team(database, ann, bob)
    cleo, began = await make_user(database, "cleo@example.com", is_verified=True), asyncio.Event()
    async with database.writer() as session:
        session.add(invitation := make_invitation(team, bob, cleo.email, TeamRole.OWNER))
    bobs_id = await member_id(database, team, bob)

    async def remove(session: AsyncSession) -> None:
        await service.delete_member(session, team.id, ann, bobs_id)
        began.set()
        await asyncio.sleep(0)  # the other task reaches the lock

    async def accept(session: AsyncSession) -> None:
        await began.wait()
        await invitations.accept(session, invitation.id, cleo)

    results = await run_concurrently(database, remove, accept)

    assert [type(result) for result in results] == [type(None), NotFound]
    assert await roles_in(database, team) == {"ann": "owner"}


@pytest.mark.database("postgresql")
async def test_concurrent_joins_respect_the_limit_of_teams(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = await make_users(database)
    monkeypatch.setattr(service, "MAX_TEAMS_PER_USER", 1)
    teams = [await make_team(database, ann), await make_team(database, ann)]
    invitation = [make_invitation(team, ann, bob.email, TeamRole.MEMBER) for team in teams]
    async with database.writer() as session:
        session.add_all(invitation)

    results = await run_concurrently(
        database,
        lambda session: invitations.accept(session, invitation[0].id, bob),
        lambda session: invitations.accept(session, invitation[1].id, bob),
        lambda session: service.create_team(session, bob, TeamCreate(name="Own")),
    )

    assert sorted(type(result).__name__ for result in results) == ["FieldErrors", "FieldErrors", "Team"]
    async with database.reader() as session:
        memberships = await session.scalars(select(TeamMember).where(col(TeamMember.user_id) == bob.id))
        assert len(memberships.all()) == 1
        remaining = (await session.scalars(select(TeamInvitation))).all()
        assert len(remaining) == sum(isinstance(result, FieldErrors) for result in results[:2])


@pytest.mark.database("sqlite", "postgresql")
async def test_concurrent_invitations_of_one_address_are_one(database: Database) -> None:
    ann, bob = await make_users(database)
    team = await make_shared_team(database, ann, bob)
    new = InvitationCreate(email="new@example.com")

    results = await run_concurrently(
        database, *(lambda session, user=user: invitations.invite(session, team.id, user, new) for user in (ann, bob))
    )

    assert not [result for result in results if isinstance(result, Exception)]
    async with database.reader() as session:
        assert len((await session.scalars(select(TeamInvitation))).all()) == 1


async def test_invitation_does_not_change_the_role_of_a_member(database: Database) -> None:
    ann, bob = await make_users(database)
    team = await make_shared_team(database, ann, bob)
    async with database.writer() as session:
        session.add(invitation := make_invitation(team, ann, bob.email, TeamRole.MEMBER))

    (result,) = await run_concurrently(database, lambda session: invitations.accept(session, invitation.id, bob))

    assert isinstance(result, Team)
    assert await roles_in(database, team) == {"ann": "owner", "bob": "owner"}


@pytest.mark.database("postgresql")
async def test_deletion_waits_for_a_row_being_written(database: Database) -> None:
    ann, _ = await make_users(database)
    team = await make_team(database, ann)
    lock = select(col(TeamMember.role)).where(col(TeamMember.team_id) == team.id).with_for_update(read=True)

    async def delete() -> None:
        async with database.writer() as session:
            await service.delete_team(session, database, team.id, ann)

    async with asyncio.timeout(30):
        async with database.writer() as session:
            await session.execute(lock)  # as in the data layer before a write
            deletion = asyncio.create_task(delete())
            while not await has_waiting_session(database):
                await asyncio.sleep(0.01)
            session.add(make_invitation(team, ann, "new@example.com", TeamRole.MEMBER))
            await session.flush()
        await deletion
    assert await roles_in(database, team) == {}


async def has_waiting_session(database: Database) -> bool:
    """Return True if a session waits for a lock."""
    async with database.reader() as session:
        query = text("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
        return await session.scalar(query) is not None
