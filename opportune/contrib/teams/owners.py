"""Owners of teams: find teams that a user cannot leave, because no other owner is active."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.contrib.teams.models import Team, TeamMember, TeamRole
from opportune.errors import FieldErrors
from opportune.i18n import gettext_lazy as _l

LAST_OWNER = _l("The team would have no active owner. Make another member its owner first.")
ONLY_MEMBER = _l("You are the only member of the team. Delete it instead.")


class SoleOwnership(NamedTuple):
    """Team without another active owner."""

    team: Team
    member_count: int
    has_other_active_member: bool


async def lock_sole_ownerships(session: AsyncSession, user_id: int) -> list[SoleOwnership]:
    """Lock the teams of an owner until the commit. Return those that would have no active owner without this user.

    Other users that the same session deletes or deactivates do not count as owners.
    """
    leaving = {user_id, *_leaving_users(session)}
    owned = select(col(TeamMember.team_id)).where(
        col(TeamMember.user_id) == user_id, col(TeamMember.role) == TeamRole.OWNER
    )
    locked = select(Team).where(col(Team.id).in_(owned)).order_by(col(Team.id)).with_for_update(key_share=True)
    by_id = {team.id: team for team in (await session.scalars(locked)).all()}
    is_other = col(User.is_active) & col(TeamMember.user_id).not_in(leaving)
    counts = (
        select(col(TeamMember.team_id), func.count())
        .add_columns(func.count().filter(is_other), func.count().filter(is_other, _is_active_owner()))
        .join(User, col(User.id) == col(TeamMember.user_id))
        .where(col(TeamMember.team_id).in_(by_id))
        .group_by(col(TeamMember.team_id))
        .order_by(col(TeamMember.team_id))
    )
    return [
        SoleOwnership(by_id[team_id], member_count, other_members > 0)
        for team_id, member_count, other_members, other_owners in await session.execute(counts)
        if other_owners == 0
    ]


def _leaving_users(session: AsyncSession) -> set[int]:
    """Return the ids of users that the next flush deletes or deactivates."""
    deactivated = (row for row in session.dirty if isinstance(row, User) and not row.is_active)
    return {row.id for row in (*session.deleted, *deactivated) if isinstance(row, User)}


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
