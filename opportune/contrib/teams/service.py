"""Teams of users: access, creation, selection and deletion. Changes lock the team's row until the commit."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.kinds import EventKind
from opportune.accounts.events.service import record_event
from opportune.accounts.models import User
from opportune.contrib.teams.models import Team, TeamMember, TeamRole
from opportune.contrib.teams.schemas import TeamCreate
from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.db.queries.batches import delete_dependents_in_batches
from opportune.errors import FieldErrors, Forbidden, require_found
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l

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


class TeamMembership(NamedTuple):
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
    """Read a team of the user.

    Raises:
        NotFound: The user is not a member.
        Forbidden: The user does not have at least this role.
    """
    query = select(Team, TeamMember).join(TeamMember, col(TeamMember.team_id) == col(Team.id))
    query = query.where(col(Team.id) == team_id, _is_membership_of(user)).execution_options(populate_existing=True)
    membership = TeamMembership(*require_found((await session.execute(query)).first()))
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
    """Create a team with the user as its owner.

    Raises:
        FieldErrors: The user is in too many teams.
    """
    await lock_user_below_team_limit(session, user)
    team = Team(name=new.name)
    session.add(team)
    await session.flush()
    session.add(TeamMember(team_id=team.id, user_id=user.id, role=TeamRole.OWNER))
    record_event(session, user, "team_created", team=team.name)
    await session.flush()
    return team


async def lock_user_below_team_limit(session: AsyncSession, user: User) -> None:
    """Lock the user against other new memberships.

    Raises:
        FieldErrors: The user is in too many teams.
    """
    await session.execute(select(col(User.id)).where(col(User.id) == user.id).with_for_update(key_share=True))
    count = select(func.count()).select_from(TeamMember).where(_is_membership_of(user))
    if (await session.scalar(count) or 0) >= MAX_TEAMS_PER_USER:
        raise FieldErrors({"": gettext(TOO_MANY_TEAMS, num=MAX_TEAMS_PER_USER)})


async def switch_team(session: AsyncSession, team_id: int, user: User) -> Team:
    """Make a team the user's current one.

    Raises:
        NotFound: The user is not a member.
    """
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
    team = require_found(await session.get(Team, team_id))
    await remove_team(session, team)
    record_event(session, user, "team_deleted", team=team.name)
    await session.flush()


async def remove_team(session: AsyncSession, team: Team) -> None:
    """Delete a locked team after its members: writers of its rows lock their membership first, then the team."""
    await session.execute(delete(TeamMember).where(col(TeamMember.team_id) == team.id))
    await session.delete(team)


def _is_membership_of(user: User) -> ColumnElement[bool]:
    return col(TeamMember.user_id) == user.id
