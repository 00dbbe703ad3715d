"""Teams and their members. Whatever changes who is in a team, or what, holds the team's row until it is committed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.models import User
from opportune.contrib.teams.events import record_of_member
from opportune.contrib.teams.models import Team, TeamInvitation, TeamMember, TeamRole
from opportune.contrib.teams.schemas import MemberFilter, MemberRead, TeamCreate
from opportune.db.database import Database, Session
from opportune.db.models.model import utc_now
from opportune.db.queries.batches import delete_dependents_in_batches
from opportune.db.queries.matching import matches, patterns_of
from opportune.errors import FieldErrors, Forbidden, NotFound
from opportune.pagination import Page, order, page_count

MAX_TEAMS_PER_USER = 100

LAST_OWNER = "The team would have no active owner: make another member one first."
NOBODY_LEFT = "Nobody else is in the team: delete it instead."
TOO_MANY_TEAMS = f"You are in {MAX_TEAMS_PER_USER} teams: leave one first."
NO_MEMBER = "Nobody with this address is in the team."
DEACTIVATED = "This account is deactivated: name somebody else."
YOURSELF = "You are an owner already: name somebody else."


@dataclass(frozen=True)
class UserTeam:
    """A team as one of its members has it."""

    id: int
    name: str
    role: TeamRole
    member_id: int

    def has_role(self, role: str) -> bool:
        """Whether they are this in it, or more."""
        return self.role.includes(role)


class UserTeams(NamedTuple):
    """The teams of somebody, the one that they are in first, and how many they are invited to."""

    teams: Sequence[UserTeam] = ()
    invitation_count: int = 0

    def find(self, team_id: int) -> UserTeam | None:
        return next((team for team in self.teams if team.id == team_id), None)


async def read_teams(session: AsyncSession, user: User) -> UserTeams:
    """What each page of somebody shows of teams, in one statement."""
    values = {"user_id": user.id, "email": user.email if user.is_verified else "", "now": utc_now()}
    statement = _teams_of_user()
    if isinstance(session, Session):
        rows: Sequence[Any] = await session.fetch(statement, values)
    else:
        rows = (await session.execute(statement, values)).all()
    teams = [
        UserTeam(team_id, name, TeamRole(role), member_id) for team_id, name, role, member_id, _ in rows if team_id
    ]
    return UserTeams(teams, rows[0][4] if rows else 0)


@cache  # which SQLAlchemy knows again without looking at its parts
def _teams_of_user() -> Select[Any]:
    invitations = (
        select(func.count())
        .select_from(TeamInvitation)
        .where(col(TeamInvitation.email) == bindparam("email"), TeamInvitation.is_open(bindparam("now")))
    )
    return (
        select(col(Team.id), col(Team.name), col(TeamMember.role), col(TeamMember.id), invitations.scalar_subquery())
        .select_from(User)
        .outerjoin(TeamMember, col(TeamMember.user_id) == User.id)
        .outerjoin(Team, col(Team.id) == col(TeamMember.team_id))
        .where(col(User.id) == bindparam("user_id"))
        .order_by(col(TeamMember.switched_at).desc(), col(TeamMember.id))
    )


@dataclass(frozen=True)
class TeamAccess:
    """A team and what somebody is in it, as stored."""

    team: Team
    member: TeamMember

    def require(self, role: TeamRole) -> None:
        """Raise Forbidden for whoever is less than this in it."""
        if not self.member.role.includes(role):
            raise Forbidden


async def open_team(session: AsyncSession, team_id: int, user: User, role: TeamRole = TeamRole.MEMBER) -> TeamAccess:
    """A team of somebody's, to be read. Raises NotFound for whoever is not in it, and Forbidden below this role."""
    query = select(Team, TeamMember).join(TeamMember, col(TeamMember.team_id) == col(Team.id))
    mine = query.where(col(Team.id) == team_id, _is_of(user)).execution_options(populate_existing=True)
    found = (await session.execute(mine)).first()
    if found is None:
        raise NotFound
    access = TeamAccess(*found)
    access.require(role)
    return access


async def lock_team(session: AsyncSession, team_id: int, user: User, role: TeamRole) -> TeamAccess:
    """A team of somebody's, to be changed: nobody else does until this is committed, so that roles are as read here.

    Raises:
        NotFound: they are not in it, or not any more.
        Forbidden: they are less than this in it.
    """
    await hold_team(session, team_id)
    return await open_team(session, team_id, user, role)


async def hold_team(session: AsyncSession, team_id: int) -> None:
    """Wait for whoever changes the members of this team, and let others wait."""
    # Rows that point at the team may still be added.
    await session.execute(select(col(Team.id)).where(col(Team.id) == team_id).with_for_update(key_share=True))


async def create_team(session: AsyncSession, user: User, new: TeamCreate) -> Team:
    """Make a team whose owner, and only member, somebody is. Raises FieldErrors for who is in too many."""
    await require_room(session, user)
    session.add(team := Team(name=new.name))
    await session.flush()
    session.add(TeamMember(team_id=team.id, user_id=user.id, role=TeamRole.OWNER))
    record_event(session, user, "team_created", team=team.name)
    await session.flush()
    return team


async def require_room(session: AsyncSession, user: User) -> None:
    """Have nobody else put them into a team until this is committed. Raises FieldErrors for who is in too many."""
    # Rows that point at them may still be added.
    await session.execute(select(col(User.id)).where(col(User.id) == user.id).with_for_update(key_share=True))
    count = select(func.count()).select_from(TeamMember).where(_is_of(user))
    if (await session.scalar(count) or 0) >= MAX_TEAMS_PER_USER:
        raise FieldErrors({"": TOO_MANY_TEAMS})


async def switch_team(session: AsyncSession, team_id: int, user: User) -> Team:
    """Have somebody be in this one of their teams from now on. Raises NotFound."""
    access = await open_team(session, team_id, user)
    access.member.switched_at = utc_now()
    await session.flush()
    return access.team


async def rename_team(session: AsyncSession, team_id: int, user: User, name: str) -> Team:
    access = await lock_team(session, team_id, user, TeamRole.ADMIN)
    access.team.name = name
    await session.flush()
    return access.team


async def delete_team(session: AsyncSession, database: Database, team_id: int, user: User) -> None:
    """Delete a team with all that belongs to it, in batches where that is much. Nothing is written in `session` yet.

    Whoever is an owner as it begins finishes it: their own membership may be among what goes first.

    Raises:
        NotFound: they are not in the team, or not any more.
        Forbidden: they are no owner of it, or not any more.
    """
    async with database.writer() as first:
        await lock_team(first, team_id, user, TeamRole.OWNER)
    await delete_dependents_in_batches(database, Team, team_id)
    await hold_team(session, team_id)
    if (team := await session.get(Team, team_id)) is None:
        raise NotFound
    await remove_team(session, team)
    record_event(session, user, "team_deleted", team=team.name)
    await session.flush()


async def remove_team(session: AsyncSession, team: Team) -> None:
    """Delete a team that is held; its members first, as whoever writes a row of it holds theirs and needs the team."""
    await session.execute(delete(TeamMember).where(col(TeamMember.team_id) == team.id))
    await session.delete(team)


async def leave_team(session: AsyncSession, team_id: int, user: User) -> Team:
    """Take somebody out of a team. Raises FieldErrors for its only owner."""
    access = await lock_team(session, team_id, user, TeamRole.MEMBER)
    await _remove(session, access.team, access.member)
    record_event(session, user, "team_left", team=access.team.name)
    return access.team


async def remove_member(session: AsyncSession, team_id: int, user: User, member_id: int) -> None:
    """Take a member out of a team, who is no more in it than who asks. Raises NotFound, Forbidden and FieldErrors."""
    access = await lock_team(session, team_id, user, TeamRole.ADMIN)
    member = await _member(session, team_id, member_id)
    access.require(member.role)
    await _remove(session, access.team, member)
    record_of_member(session, member.user_id, "team_removed", user, team=access.team.name)


async def change_role(session: AsyncSession, team_id: int, user: User, member_id: int, role: TeamRole) -> TeamMember:
    """Give a member another role, up to that of who asks. Raises NotFound, Forbidden and FieldErrors."""
    access = await lock_team(session, team_id, user, TeamRole.ADMIN)
    member = await _member(session, team_id, member_id)
    access.require(member.role)
    access.require(role)
    if member.role is TeamRole.OWNER and role is not TeamRole.OWNER:
        await keep_owner(session, team_id, member.id)
    member.role = role
    record_of_member(session, member.user_id, "team_role_changed", user, team=access.team.name, role=role.value)
    await session.flush()
    return member


async def hand_over(session: AsyncSession, team_id: int, user: User, email: str) -> User:
    """Make another member the owner in the place of who asks, who is an admin from then on.

    Raises:
        FieldErrors: no other active member has this address.
    """
    access = await lock_team(session, team_id, user, TeamRole.OWNER)
    query = select(TeamMember, User).join(User, col(User.id) == col(TeamMember.user_id))
    found = (await session.execute(query.where(col(TeamMember.team_id) == team_id, col(User.email) == email))).first()
    if found is None:
        raise FieldErrors({"email": NO_MEMBER})
    member, owner = found
    if member.id == access.member.id:
        raise FieldErrors({"email": YOURSELF})
    if not owner.is_active:
        raise FieldErrors({"email": DEACTIVATED})
    member.role, access.member.role = TeamRole.OWNER, TeamRole.ADMIN
    record_event(session, user, "team_handed_over", team=access.team.name, owner=owner.email)
    record_of_member(session, member.user_id, "team_received", user, team=access.team.name)
    await session.flush()
    made: User = owner
    return made


async def find_members(session: AsyncSession, team_id: int, user: User, wanted: MemberFilter) -> Page[MemberRead]:
    """The members of a team, owners and admins first."""
    query = (
        select(TeamMember, User)
        .join(User, col(User.id) == col(TeamMember.user_id))
        .where(col(TeamMember.team_id) == team_id, *_has_words(wanted.q))
    )
    counted = select(func.count()).select_from(query.with_only_columns(col(TeamMember.id)).subquery())
    total = await session.scalar(counted) or 0
    columns: Mapping[str, Any] = {"email": col(User.email), "joined_at": col(TeamMember.joined_at)}
    ordered = query.order_by(*order(wanted.sort, columns, _rank(), col(User.email)), col(TeamMember.id))
    rows = await session.execute(ordered.offset((wanted.page - 1) * wanted.size).limit(wanted.size))
    items = [member_read(member, person, user) for member, person in rows]
    return Page[MemberRead](items=items, total=total, page=wanted.page, pages=page_count(total, wanted.size))


def member_read(member: TeamMember, person: User, user: User) -> MemberRead:
    """A member as `user` is shown them."""
    return MemberRead(
        **member.model_dump(include={"id", "role", "joined_at"}),
        email=person.email,
        name=person.get_short_name(),
        is_me=person.id == user.id,
    )


class SoleOwnership(NamedTuple):
    """A team with no other active owner."""

    team: Team
    members: int
    has_other_active_member: bool


async def sole_ownerships(session: AsyncSession, user_id: int) -> list[SoleOwnership]:
    """Return the teams that would have no active owner without this user. Lock them until the commit.

    Other users that the same session deletes or deactivates do not count as owners.
    """
    leaving = {user_id, *_leaving_users(session)}
    mine = select(col(TeamMember.team_id)).where(
        col(TeamMember.user_id) == user_id, col(TeamMember.role) == TeamRole.OWNER
    )
    held = select(Team).where(col(Team.id).in_(mine)).order_by(col(Team.id)).with_for_update(key_share=True)
    teams = (await session.scalars(held)).all()
    is_other = col(User.is_active) & col(TeamMember.user_id).not_in(leaving)
    owners, others = func.count().filter(is_other, _is_active_owner()), func.count().filter(is_other)
    counts = (
        select(col(TeamMember.team_id), func.count(), owners, others)
        .join(User, col(User.id) == col(TeamMember.user_id))
        .where(col(TeamMember.team_id).in_([team.id for team in teams]))
        .group_by(col(TeamMember.team_id))
    )
    by_id = {team.id: team for team in teams}
    return [
        SoleOwnership(by_id[team_id], members, bool(others))
        for team_id, members, owners, others in await session.execute(counts.order_by(col(TeamMember.team_id)))
        if not owners
    ]


def _leaving_users(session: AsyncSession) -> set[int]:
    """The users that a flush of this session deletes or deactivates."""
    deactivated = (row for row in session.dirty if isinstance(row, User) and not row.is_active)
    return {row.id for row in (*session.deleted, *deactivated) if isinstance(row, User)}


async def find_member(session: AsyncSession, team_id: int, email: str) -> TeamMember | None:
    """Who has this address in a team."""
    query = select(TeamMember).join(User, col(User.id) == col(TeamMember.user_id))
    found: TeamMember | None = await session.scalar(
        query.where(col(TeamMember.team_id) == team_id, func.lower(col(User.email)) == email)
    )
    return found


async def _member(session: AsyncSession, team_id: int, member_id: int) -> TeamMember:
    """A member of a team that is held. Raises NotFound."""
    query = select(TeamMember).where(col(TeamMember.id) == member_id, col(TeamMember.team_id) == team_id)
    member = await session.scalar(query.execution_options(populate_existing=True))
    if member is None:
        raise NotFound
    return member


async def _remove(session: AsyncSession, team: Team, member: TeamMember) -> None:
    if member.role is TeamRole.OWNER:
        await keep_owner(session, team.id, member.id)
    await session.delete(member)
    await session.flush()


async def keep_owner(session: AsyncSession, team_id: int, member_id: int) -> None:
    """Make sure that a locked team has another active owner than this member. Raises FieldErrors."""
    counts = (
        select(func.count(), func.count().filter(_is_active_owner()))
        .select_from(TeamMember)
        .join(User, col(User.id) == col(TeamMember.user_id))
        .where(col(TeamMember.team_id) == team_id, col(TeamMember.id) != member_id)
    )
    members, owners = (await session.execute(counts)).one()
    if not owners:
        raise FieldErrors({"": LAST_OWNER if members else NOBODY_LEFT})


def _is_active_owner() -> ColumnElement[bool]:
    """An owner whose account is deactivated cannot hand the team over or delete it."""
    return and_(col(TeamMember.role) == TeamRole.OWNER, col(User.is_active))


def _is_of(user: User) -> ColumnElement[bool]:
    return col(TeamMember.user_id) == user.id


def _rank() -> ColumnElement[int]:
    """Owners first, then admins."""
    return case(*((col(TeamMember.role) == role, place) for place, role in enumerate(TeamRole)))


def _has_words(text: str) -> Iterator[ColumnElement[bool]]:
    yield from (matches(col(User.email), pattern) for pattern in patterns_of(text))
