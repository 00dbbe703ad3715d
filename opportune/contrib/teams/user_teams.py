"""The teams of a user, read in one statement for the navigation of all pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.contrib.teams.models import Team, TeamInvitation, TeamMember, TeamRole
from opportune.crud.registry import crud_classes
from opportune.db.clock import utc_now
from opportune.db.sessions.session import Session


@dataclass(frozen=True)
class UserTeam:
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
        return self.teams[1:] if self.current else self.teams

    @property
    def offers_personal(self) -> bool:
        """Whether the site has rows that belong to a user while no team is selected, as its `Crud` classes declare."""
        return any(crud_class.team_column for classes in crud_classes.values() for crud_class in classes)


async def read_teams(session: AsyncSession, user: User) -> UserTeams:
    """Read the data for the navigation of all pages in one statement."""
    values = {"user_id": user.id, "email": TeamInvitation.address_of(user), "now": utc_now()}
    statement = _teams_of_user()
    if isinstance(session, Session):  # its `fetch` is faster than `execute`
        rows: Sequence[Any] = await session.fetch(statement, values)
    else:
        rows = (await session.execute(statement, values)).all()
    if not rows:
        return UserTeams()
    # The row of a user without teams has NULL for the columns of the team.
    teams = [
        UserTeam(team_id, name, TeamRole(role), member_id) for team_id, name, role, member_id, *_ in rows if team_id
    ]
    *_, invitation_count, switched_at = rows[0]
    return UserTeams(teams, invitation_count, is_personal=bool(teams) and switched_at is None)


async def read_current_team(session: AsyncSession, user: User) -> UserTeam | None:
    """Read the team that the user has selected. None stands for the personal rows."""
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
