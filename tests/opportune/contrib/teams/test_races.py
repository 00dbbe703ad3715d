"""Two who change one team at the same moment: on both databases, as each has its own way to let one wait."""

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

Act = Callable[[AsyncSession], Awaitable[Any]]


async def at_once(database: Database, *acts: Act) -> list[Any]:
    """What each gives, or what it raises, when none waits for another but by locks."""

    async def run(act: Act) -> Any:
        async with database.writer() as session:
            return await act(session)

    async with asyncio.timeout(30):
        return await asyncio.gather(*map(run, acts), return_exceptions=True)


async def people(database: Database) -> tuple[User, User]:
    return await make_user(database, "ann@example.com", is_verified=True), await make_user(
        database, "bob@example.com", is_verified=True
    )


async def owned_by_both(database: Database, ann: User, bob: User) -> Team:
    team = await make_team(database, ann)
    async with database.writer() as session:
        session.add(TeamMember(team_id=team.id, user_id=bob.id, role=TeamRole.OWNER))
    return team


def invitation_of(team: Team, by: User, email: str, role: TeamRole) -> TeamInvitation:
    ends = utc_now() + timedelta(days=1)
    return TeamInvitation(
        team_id=team.id, email=email, role=role, token_hash=f"x{team.id}", invited_by_id=by.id, expires_at=ends
    )


@pytest.mark.database("postgresql")
async def test_of_the_last_two_owners_who_leave_at_once_one_stays(database: Database) -> None:
    ann, bob = await people(database)
    team = await owned_by_both(database, ann, bob)

    results = await at_once(
        database, *(lambda session, who=who: service.leave_team(session, team.id, who) for who in (ann, bob))
    )

    assert [type(each) for each in results if isinstance(each, Exception)] == [FieldErrors]
    assert list((await roles_in(database, team)).values()) == ["owner"]


@pytest.mark.database("postgresql")
async def test_of_the_last_two_owners_who_go_at_once_one_stays_when_the_other_deletes_the_account(
    database: Database,
) -> None:
    ann, bob = await people(database)
    team = await owned_by_both(database, ann, bob)
    member = await make_user(database, "cleo@example.com")
    async with database.writer() as session:
        session.add(TeamMember(team_id=team.id, user_id=member.id, role=TeamRole.MEMBER))

    async def delete_bob(session: AsyncSession) -> None:
        await session.delete(await session.get(User, bob.id))
        await session.flush()

    results = await at_once(database, lambda session: service.leave_team(session, team.id, ann), delete_bob)

    assert [type(each) for each in results if isinstance(each, Exception)] == [FieldErrors]
    assert list((await roles_in(database, team)).values()).count("owner") == 1


@pytest.mark.database("postgresql")
async def test_an_invitation_that_is_accepted_twice_at_once_makes_one_member(database: Database) -> None:
    ann, bob = await people(database)
    team = await make_team(database, ann)
    async with database.writer() as session:
        session.add(kept := invitation_of(team, ann, bob.email, TeamRole.ADMIN))
    accept: Act = lambda session: invitations.accept(session, kept.id, bob)  # noqa: E731 - twice the same

    results = await at_once(database, accept, accept)

    assert {type(each) for each in results} <= {Team, NotFound}
    assert Team in {type(each) for each in results}
    assert await roles_in(database, team) == {"ann": "owner", "bob": "admin"}


@pytest.mark.database("postgresql")
async def test_whoever_loses_a_role_while_a_request_runs_does_nothing_with_it(database: Database) -> None:
    ann, bob = await people(database)
    team = await owned_by_both(database, ann, bob)
    number, began = await member_id(database, team, bob), asyncio.Event()

    async def demote(session: AsyncSession) -> None:
        await service.change_role(session, team.id, ann, number, TeamRole.MEMBER)
        began.set()
        await asyncio.sleep(0)  # the other one is on its way to the lock

    async def rename(session: AsyncSession) -> None:
        await began.wait()
        await service.rename_team(session, team.id, bob, "Mine")

    results = await at_once(database, demote, rename)

    assert [type(each) for each in results] == [type(None), Forbidden]
    async with database.reader() as session:
        assert (await session.scalars(select(col(Team.name)))).all() == ["Crew"]


@pytest.mark.database("postgresql")
async def test_an_invitation_is_worthless_as_soon_as_its_inviter_is_removed(database: Database) -> None:
    ann, bob = await people(database)
    team = await owned_by_both(database, ann, bob)
    second, began = await make_user(database, "cleo@example.com", is_verified=True), asyncio.Event()
    async with database.writer() as session:
        session.add(kept := invitation_of(team, bob, second.email, TeamRole.OWNER))
    number = await member_id(database, team, bob)

    async def remove(session: AsyncSession) -> None:
        await service.remove_member(session, team.id, ann, number)
        began.set()
        await asyncio.sleep(0)  # the other one is on its way to the lock

    async def accept(session: AsyncSession) -> None:
        await began.wait()
        await invitations.accept(session, kept.id, second)

    results = await at_once(database, remove, accept)

    assert [type(each) for each in results] == [type(None), NotFound]
    assert await roles_in(database, team) == {"ann": "owner"}


@pytest.mark.database("postgresql")
async def test_nobody_comes_into_more_teams_than_they_may_by_accepting_and_making_some_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await people(database)
    monkeypatch.setattr(service, "MAX_TEAMS_PER_USER", 1)
    teams = [await make_team(database, ann), await make_team(database, ann)]
    kept = [invitation_of(team, ann, bob.email, TeamRole.MEMBER) for team in teams]
    async with database.writer() as session:
        session.add_all(kept)

    results = await at_once(
        database,
        lambda session: invitations.accept(session, kept[0].id, bob),
        lambda session: invitations.accept(session, kept[1].id, bob),
        lambda session: service.create_team(session, bob, TeamCreate(name="Own")),
    )

    assert sorted(type(each).__name__ for each in results) == ["FieldErrors", "FieldErrors", "Team"]
    async with database.reader() as session:
        of_bob = await session.scalars(select(TeamMember).where(col(TeamMember.user_id) == bob.id))
        assert len(of_bob.all()) == 1
        stay = (await session.scalars(select(TeamInvitation))).all()
        assert len(stay) == sum(isinstance(each, FieldErrors) for each in results[:2])


async def test_two_invitations_of_one_address_at_once_are_one(database: Database) -> None:
    ann, bob = await people(database)
    team = await owned_by_both(database, ann, bob)
    new = InvitationCreate(email="new@example.com")

    results = await at_once(
        database, *(lambda session, who=who: invitations.invite(session, team.id, who, new) for who in (ann, bob))
    )

    assert not [each for each in results if isinstance(each, Exception)]
    async with database.reader() as session:
        assert len((await session.scalars(select(TeamInvitation))).all()) == 1


@pytest.mark.database("sqlite")
async def test_an_invitation_of_somebody_who_has_become_a_member_changes_nothing_of_what_they_are(
    database: Database,
) -> None:
    ann, bob = await people(database)
    team = await owned_by_both(database, ann, bob)
    async with database.writer() as session:
        session.add(kept := invitation_of(team, ann, bob.email, TeamRole.MEMBER))

    (result,) = await at_once(database, lambda session: invitations.accept(session, kept.id, bob))

    assert isinstance(result, Team)
    assert await roles_in(database, team) == {"ann": "owner", "bob": "owner"}


@pytest.mark.database("postgresql")
async def test_a_team_that_is_deleted_while_a_row_of_it_is_written_waits_for_that(database: Database) -> None:
    ann, _ = await people(database)
    team = await make_team(database, ann)
    theirs = select(col(TeamMember.role)).where(col(TeamMember.team_id) == team.id).with_for_update(read=True)

    async def remove() -> None:
        async with database.writer() as session:
            await service.delete_team(session, database, team.id, ann)

    async with asyncio.timeout(30):
        async with database.writer() as session:
            await session.execute(theirs)  # as the data layer does before it writes
            removing = asyncio.create_task(remove())
            while not await waiting(database):
                await asyncio.sleep(0.01)
            session.add(invitation_of(team, ann, "new@example.com", TeamRole.MEMBER))
            await session.flush()
        await removing
    assert await roles_in(database, team) == {}


async def waiting(database: Database) -> bool:
    """Whether somebody waits for a lock."""
    async with database.reader() as session:
        asked = text("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
        return await session.scalar(asked) is not None
