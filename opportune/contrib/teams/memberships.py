"""Members of teams. Changes of memberships lock the team's row until the commit."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.models import AccountEvent, User
from opportune.contrib.teams.models import Team, TeamMember, TeamRole
from opportune.contrib.teams.owners import require_other_owner
from opportune.contrib.teams.schemas import MemberFilter, MemberRead
from opportune.contrib.teams.service import lock_team
from opportune.db.queries.matching import matches, patterns_of
from opportune.errors import FieldErrors, require_found
from opportune.i18n import gettext_lazy as _l
from opportune.pagination import Page, order, page_count

NO_MEMBER = _l("No member of the team has this address.")
DEACTIVATED = _l("This account is deactivated. Choose another member.")
YOURSELF = _l("You are already an owner. Choose another member.")


async def leave_team(session: AsyncSession, team_id: int, user: User) -> Team:
    """Remove the user from a team.

    Raises:
        FieldErrors: The user is its only owner.
    """
    membership = await lock_team(session, team_id, user, TeamRole.MEMBER)
    await _delete_member(session, membership.team, membership.member)
    record_event(session, user, "team_left", team=membership.team.name)
    return membership.team


async def delete_member(session: AsyncSession, team_id: int, user: User, member_id: int) -> None:
    """Remove a member with at most the user's role.

    Raises:
        NotFound: The user is not in the team, or the member is not.
        Forbidden: The user has a lower role than the change needs.
        FieldErrors: The member is the only owner.
    """
    membership = await lock_team(session, team_id, user, TeamRole.ADMIN)
    member = await _read_member(session, team_id, member_id)
    membership.require(member.role)
    await _delete_member(session, membership.team, member)
    _record_for_member(session, member.user_id, "team_removed", user, team=membership.team.name)


async def update_role(session: AsyncSession, team_id: int, user: User, member_id: int, role: TeamRole) -> TeamMember:
    """Change a member's role, at most to the user's role.

    Raises:
        NotFound: The user is not in the team, or the member is not.
        Forbidden: The user has a lower role than the change needs.
        FieldErrors: The member is the only owner.
    """
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
    member.role = TeamRole.OWNER
    membership.member.role = TeamRole.ADMIN
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
    return MemberRead(
        **member.model_dump(include={"id", "role", "joined_at"}),
        email=member_user.email,
        name=member_user.get_short_name(),
        is_me=member_user.id == user.id,
    )


async def find_member(session: AsyncSession, team_id: int, email: str) -> TeamMember | None:
    query = select(TeamMember).join(User, col(User.id) == col(TeamMember.user_id))
    return await session.scalar(query.where(col(TeamMember.team_id) == team_id, func.lower(col(User.email)) == email))


async def _read_member(session: AsyncSession, team_id: int, member_id: int) -> TeamMember:
    """Read a member of a locked team.

    Raises:
        NotFound: The team has no such member.
    """
    query = select(TeamMember).where(col(TeamMember.id) == member_id, col(TeamMember.team_id) == team_id)
    return require_found(await session.scalar(query.execution_options(populate_existing=True)))


async def _delete_member(session: AsyncSession, team: Team, member: TeamMember) -> None:
    if member.role is TeamRole.OWNER:
        await require_other_owner(session, team.id, member.id)
    await session.delete(member)
    await session.flush()


def _record_for_member(session: AsyncSession, user_id: int, kind: str, by: User, **details: Any) -> None:
    """Record an action of another member, without that member's address and browser."""
    details = {"by": by.get_short_name() or by.email, **details}
    session.add(AccountEvent(user_id=user_id, kind=kind, details=details))
