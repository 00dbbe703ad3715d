"""Teams and their members. Changes of memberships lock the team's row until the commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.models import User
from opportune.contrib.teams.events import record_for_member
from opportune.contrib.teams.models import Team, TeamInvitation, TeamMember, TeamRole
from opportune.contrib.teams.schemas import MemberFilter, MemberRead, TeamCreate
from opportune.crud.registry import crud_classes
from opportune.db.database import Database, Session
from opportune.db.models.model import utc_now
from opportune.db.queries.batches import delete_dependents_in_batches
from opportune.db.queries.matching import matches, patterns_of
from opportune.errors import FieldErrors, Forbidden, NotFound
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.pagination import Page, order, page_count

MAX_TEAMS_PER_USER = 100

LAST_OWNER = _l("The team would have no active owner. Make another member its owner first.")
ONLY_MEMBER = _l("You are the only member of the team. Delete it instead.")
TOO_MANY_TEAMS = _l("You are in %(num)s teams. Leave one first.")
NO_MEMBER = _l("No member of the team has this address.")
DEACTIVATED = _l("This account is deactivated. Choose another member.")
YOURSELF = _l("You are already an owner. Choose another member.")


@dataclass(frozen=True)
class UserTeam:
    """Team with the membership of a user."""

    id: int
    name: str
    role: TeamRole
    member_id: int

    def has_role(self, role: str) -> bool:
        """Return True if the user has at least this role in the team."""
        return self.role.includes(role)


class UserTeams(NamedTuple):
    """Teams of a user, the current one first, and the number of open invitations."""

    teams: Sequence[UserTeam] = ()
    invitation_count: int = 0
    is_personal: bool = False
    """Whether the user has selected personal rows instead of a team."""

    @property
    def current(self) -> UserTeam | None:
        return self.teams[0] if self.teams and not self.is_personal else None

    @property
    def others(self) -> Sequence[UserTeam]:
        """The teams that the user can switch to."""
        return self.teams[1:] if self.current else self.teams

    @property
    def offers_personal(self) -> bool:
        """Return whether the site has rows that belong to a user while no team is selected."""
        return any(crud_class.team_column for classes in crud_classes.values() for crud_class in classes)

    def find(self, team_id: int) -> UserTeam | None:
        return next((team for team in self.teams if team.id == team_id), None)


async def read_teams(session: AsyncSession, user: User) -> UserTeams:
    """Read the data for the navigation of all pages in one statement."""
    values = {"user_id": user.id, "email": user.email if user.is_verified else "", "now": utc_now()}
    statement = _teams_of_user()
    if isinstance(session, Session):
        rows: Sequence[Any] = await session.fetch(statement, values)
    else:
        rows = (await session.execute(statement, values)).all()
    teams = [
        UserTeam(team_id, name, TeamRole(role), member_id) for team_id, name, role, member_id, *_ in rows if team_id
    ]
    if not rows:
        return UserTeams()
    *_, invitation_count, switched_at = rows[0]
    return UserTeams(teams, invitation_count, is_personal=bool(teams) and switched_at is None)


async def read_current_team(session: AsyncSession, user: User) -> UserTeam | None:
    """Read the team that the user has selected in the browser."""
    return (await read_teams(session, user)).current


@cache  # SQLAlchemy recognizes a cached statement without comparing its parts
def _teams_of_user() -> Select[Any]:
    invitations = (
        select(func.count())
        .select_from(TeamInvitation)
        .where(col(TeamInvitation.email) == bindparam("email"), TeamInvitation.is_open(bindparam("now")))
    )
    return (
        select(col(Team.id), col(Team.name), col(TeamMember.role), col(TeamMember.id))
        .add_columns(invitations.scalar_subquery(), col(TeamMember.switched_at))
        .select_from(User)
        .outerjoin(TeamMember, col(TeamMember.user_id) == User.id)
        .outerjoin(Team, col(Team.id) == col(TeamMember.team_id))
        .where(col(User.id) == bindparam("user_id"))
        .order_by(col(TeamMember.switched_at).desc().nulls_last(), col(TeamMember.id))
    )


@dataclass(frozen=True)
class TeamMembership:
    """Rows of a team and of a user's membership."""

    team: Team
    member: TeamMember

    def require(self, role: TeamRole) -> None:
        """Raise Forbidden if the user does not have at least this role."""
        if not self.member.role.includes(role):
            raise Forbidden


async def open_team(
    session: AsyncSession, team_id: int, user: User, role: TeamRole = TeamRole.MEMBER
) -> TeamMembership:
    """Read a team of the user. Raises NotFound for other users, and Forbidden for members below the role."""
    query = select(Team, TeamMember).join(TeamMember, col(TeamMember.team_id) == col(Team.id))
    query = query.where(col(Team.id) == team_id, _is_membership_of(user)).execution_options(populate_existing=True)
    row = (await session.execute(query)).first()
    if row is None:
        raise NotFound
    membership = TeamMembership(*row)
    membership.require(role)
    return membership


async def lock_team(session: AsyncSession, team_id: int, user: User, role: TeamRole) -> TeamMembership:
    """Lock a team of the user until the commit and read it, so that roles cannot change.

    Raises:
        NotFound: The user is not a member.
        Forbidden: The user does not have at least this role.
    """
    await lock_team_row(session, team_id)
    return await open_team(session, team_id, user, role)


async def lock_team_row(session: AsyncSession, team_id: int) -> None:
    """Lock a team against other changes of its members. New rows may still refer to it."""
    await session.execute(select(col(Team.id)).where(col(Team.id) == team_id).with_for_update(key_share=True))


async def create_team(session: AsyncSession, user: User, new: TeamCreate) -> Team:
    """Create a team with the user as its owner. Raises FieldErrors if the user is in too many teams."""
    await refuse_too_many_teams(session, user)
    session.add(team := Team(name=new.name))
    await session.flush()
    session.add(TeamMember(team_id=team.id, user_id=user.id, role=TeamRole.OWNER))
    record_event(session, user, "team_created", team=team.name)
    await session.flush()
    return team


async def refuse_too_many_teams(session: AsyncSession, user: User) -> None:
    """Lock the user against other new memberships. Raises FieldErrors if the user is in too many teams."""
    await session.execute(select(col(User.id)).where(col(User.id) == user.id).with_for_update(key_share=True))
    count = select(func.count()).select_from(TeamMember).where(_is_membership_of(user))
    if (await session.scalar(count) or 0) >= MAX_TEAMS_PER_USER:
        raise FieldErrors({"": gettext(TOO_MANY_TEAMS, num=MAX_TEAMS_PER_USER)})


async def switch_team(session: AsyncSession, team_id: int, user: User) -> Team:
    """Make a team the user's current one. Raises NotFound."""
    membership = await open_team(session, team_id, user)
    membership.member.switched_at = utc_now()
    await session.flush()
    return membership.team


async def switch_to_personal(session: AsyncSession, user: User) -> None:
    """Select the user's personal rows instead of a team."""
    await session.execute(update(TeamMember).where(_is_membership_of(user)).values(switched_at=None))


async def rename_team(session: AsyncSession, team_id: int, user: User, name: str) -> Team:
    membership = await lock_team(session, team_id, user, TeamRole.ADMIN)
    membership.team.name = name
    await session.flush()
    return membership.team


async def delete_team(session: AsyncSession, database: Database, team_id: int, user: User) -> None:
    """Delete a team with all its rows, in batches. `session` must not have written anything yet.

    The role is only checked at the beginning, because the user's membership may be deleted first.

    Raises:
        NotFound: The user is not a member.
        Forbidden: The user is not an owner.
    """
    async with database.writer() as check:
        await lock_team(check, team_id, user, TeamRole.OWNER)
    await delete_dependents_in_batches(database, Team, team_id)
    await lock_team_row(session, team_id)
    if (team := await session.get(Team, team_id)) is None:
        raise NotFound
    await remove_team(session, team)
    record_event(session, user, "team_deleted", team=team.name)
    await session.flush()


async def remove_team(session: AsyncSession, team: Team) -> None:
    """Delete a locked team after its members: writers of its rows lock their membership first, then the team."""
    await session.execute(delete(TeamMember).where(col(TeamMember.team_id) == team.id))
    await session.delete(team)


async def leave_team(session: AsyncSession, team_id: int, user: User) -> Team:
    """Remove the user from a team. Raises FieldErrors for its only owner."""
    membership = await lock_team(session, team_id, user, TeamRole.MEMBER)
    await _delete_member(session, membership.team, membership.member)
    record_event(session, user, "team_left", team=membership.team.name)
    return membership.team


async def delete_member(session: AsyncSession, team_id: int, user: User, member_id: int) -> None:
    """Remove a member with at most the user's role. Raises NotFound, Forbidden and FieldErrors."""
    membership = await lock_team(session, team_id, user, TeamRole.ADMIN)
    member = await _read_member(session, team_id, member_id)
    membership.require(member.role)
    await _delete_member(session, membership.team, member)
    record_for_member(session, member.user_id, "team_removed", user, team=membership.team.name)


async def update_role(session: AsyncSession, team_id: int, user: User, member_id: int, role: TeamRole) -> TeamMember:
    """Change a member's role, at most to the user's role. Raises NotFound, Forbidden and FieldErrors."""
    membership = await lock_team(session, team_id, user, TeamRole.ADMIN)
    member = await _read_member(session, team_id, member_id)
    membership.require(member.role)
    membership.require(role)
    if member.role is TeamRole.OWNER and role is not TeamRole.OWNER:
        await require_other_owner(session, team_id, member.id)
    member.role = role
    record_for_member(session, member.user_id, "team_role_changed", user, team=membership.team.name, role=role.value)
    await session.flush()
    return member


async def hand_over(session: AsyncSession, team_id: int, user: User, email: str) -> User:
    """Make another member the owner, and the user an admin.

    Raises:
        FieldErrors: No other active member has this address.
    """
    membership = await lock_team(session, team_id, user, TeamRole.OWNER)
    member = await find_member(session, team_id, email)
    if member is None:
        raise FieldErrors({"email": NO_MEMBER})
    owner = await session.get_one(User, member.user_id)
    if member.id == membership.member.id:
        raise FieldErrors({"email": YOURSELF})
    if not owner.is_active:
        raise FieldErrors({"email": DEACTIVATED})
    member.role, membership.member.role = TeamRole.OWNER, TeamRole.ADMIN
    record_event(session, user, "team_handed_over", team=membership.team.name, owner=owner.email)
    record_for_member(session, member.user_id, "team_received", user, team=membership.team.name)
    await session.flush()
    return owner


async def find_members(session: AsyncSession, team_id: int, user: User, filters: MemberFilter) -> Page[MemberRead]:
    """Return a page of the team's members, owners and admins first."""
    query = (
        select(TeamMember, User)
        .join(User, col(User.id) == col(TeamMember.user_id))
        .where(col(TeamMember.team_id) == team_id)
        .where(*(matches(col(User.email), pattern) for pattern in patterns_of(filters.q)))
    )
    count = select(func.count()).select_from(query.with_only_columns(col(TeamMember.id)).subquery())
    total = await session.scalar(count) or 0
    columns: Mapping[str, Any] = {"email": col(User.email), "joined_at": col(TeamMember.joined_at)}
    rank = case(*((col(TeamMember.role) == role, index) for index, role in enumerate(TeamRole)))
    ordered = query.order_by(*order(filters.sort, columns, rank, col(User.email)), col(TeamMember.id))
    rows = await session.execute(ordered.offset((filters.page - 1) * filters.size).limit(filters.size))
    items = [to_member_read(member, member_user, user) for member, member_user in rows]
    return Page[MemberRead](items=items, total=total, page=filters.page, pages=page_count(total, filters.size))


def to_member_read(member: TeamMember, member_user: User, user: User) -> MemberRead:
    """Return the response for a member, seen by `user`."""
    return MemberRead(
        **member.model_dump(include={"id", "role", "joined_at"}),
        email=member_user.email,
        name=member_user.get_short_name(),
        is_me=member_user.id == user.id,
    )


class SoleOwnership(NamedTuple):
    """Team without another active owner."""

    team: Team
    member_count: int
    has_other_active_member: bool


async def find_sole_ownerships(session: AsyncSession, user_id: int) -> list[SoleOwnership]:
    """Return the teams that would have no active owner without this user. Lock them until the commit.

    Other users that the same session deletes or deactivates do not count as owners.
    """
    leaving = {user_id, *_leaving_users(session)}
    owned = select(col(TeamMember.team_id)).where(
        col(TeamMember.user_id) == user_id, col(TeamMember.role) == TeamRole.OWNER
    )
    locked = select(Team).where(col(Team.id).in_(owned)).order_by(col(Team.id)).with_for_update(key_share=True)
    teams = (await session.scalars(locked)).all()
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
        SoleOwnership(by_id[team_id], member_count, bool(others))
        for team_id, member_count, owners, others in await session.execute(counts.order_by(col(TeamMember.team_id)))
        if not owners
    ]


def _leaving_users(session: AsyncSession) -> set[int]:
    """Return the ids of users that the next flush deletes or deactivates."""
    deactivated = (row for row in session.dirty if isinstance(row, User) and not row.is_active)
    return {row.id for row in (*session.deleted, *deactivated) if isinstance(row, User)}


async def find_member(session: AsyncSession, team_id: int, email: str) -> TeamMember | None:
    query = select(TeamMember).join(User, col(User.id) == col(TeamMember.user_id))
    member: TeamMember | None = await session.scalar(
        query.where(col(TeamMember.team_id) == team_id, func.lower(col(User.email)) == email)
    )
    return member


async def _read_member(session: AsyncSession, team_id: int, member_id: int) -> TeamMember:
    """Read a member of a locked team. Raises NotFound."""
    query = select(TeamMember).where(col(TeamMember.id) == member_id, col(TeamMember.team_id) == team_id)
    member = await session.scalar(query.execution_options(populate_existing=True))
    if member is None:
        raise NotFound
    return member


async def _delete_member(session: AsyncSession, team: Team, member: TeamMember) -> None:
    if member.role is TeamRole.OWNER:
        await require_other_owner(session, team.id, member.id)
    await session.delete(member)
    await session.flush()


async def require_other_owner(session: AsyncSession, team_id: int, member_id: int) -> None:
    """Raise FieldErrors if a locked team has no other active owner than this member."""
    counts = (
        select(func.count(), func.count().filter(_is_active_owner()))
        .select_from(TeamMember)
        .join(User, col(User.id) == col(TeamMember.user_id))
        .where(col(TeamMember.team_id) == team_id, col(TeamMember.id) != member_id)
    )
    member_count, owners = (await session.execute(counts)).one()
    if not owners:
        raise FieldErrors({"": LAST_OWNER if member_count else ONLY_MEMBER})


def _is_active_owner() -> ColumnElement[bool]:
    return and_(col(TeamMember.role) == TeamRole.OWNER, col(User.is_active))


def _is_membership_of(user: User) -> ColumnElement[bool]:
    return col(TeamMember.user_id) == user.id
