"""Teams and their members. Changes of memberships lock the team's row until the commit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.kinds import EventKind
from opportune.accounts.events.service import record_event
from opportune.accounts.models import AccountEvent, User
from opportune.contrib.teams.models import Team, TeamMember, TeamRole
from opportune.contrib.teams.owners import require_other_owner
from opportune.contrib.teams.schemas import MemberFilter, MemberRead, TeamCreate
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.db.queries.batches import delete_dependents_in_batches
from opportune.db.queries.matching import matches, patterns_of
from opportune.errors import FieldErrors, Forbidden, NotFound
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.pagination import Page, order, page_count

EVENTS = [
    EventKind(name, text, icon="ti-users-group")
    for name, text in (
        ("team_created", _l("You created the team {team}")),
        ("team_joined", _l("You joined the team {team}")),
        ("team_left", _l("You left the team {team}")),
        ("team_deleted", _l("You deleted the team {team}")),
        ("team_handed_over", _l("You handed the team {team} over to {owner}")),
        ("team_received", _l("{by} handed the team {team} over to you")),
        ("team_role_changed", _l("{by} changed your role in the team {team} to {role}")),
        ("team_removed", _l("{by} removed you from the team {team}")),
    )
]

MAX_TEAMS_PER_USER = 100

TOO_MANY_TEAMS = _l("You are in %(num)s teams. Leave one first.")
NO_MEMBER = _l("No member of the team has this address.")
DEACTIVATED = _l("This account is deactivated. Choose another member.")
YOURSELF = _l("You are already an owner. Choose another member.")


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
    _record_for_member(session, member.user_id, "team_removed", user, team=membership.team.name)


async def update_role(session: AsyncSession, team_id: int, user: User, member_id: int, role: TeamRole) -> TeamMember:
    """Change a member's role, at most to the user's role. Raises NotFound, Forbidden and FieldErrors."""
    membership = await lock_team(session, team_id, user, TeamRole.ADMIN)
    member = await _read_member(session, team_id, member_id)
    membership.require(member.role)
    membership.require(role)
    if member.role is TeamRole.OWNER and role is not TeamRole.OWNER:
        await require_other_owner(session, team_id, member.id)
    member.role = role
    _record_for_member(session, member.user_id, "team_role_changed", user, team=membership.team.name, role=role.value)
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
    _record_for_member(session, member.user_id, "team_received", user, team=membership.team.name)
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


def _is_membership_of(user: User) -> ColumnElement[bool]:
    return col(TeamMember.user_id) == user.id


def _record_for_member(session: AsyncSession, user_id: int, kind: str, by: User, **details: Any) -> None:
    """Record an action of another member, without that member's address and browser."""
    details = {"by": by.get_short_name() or by.email, **details}
    session.add(AccountEvent(user_id=user_id, kind=kind, details=details))
