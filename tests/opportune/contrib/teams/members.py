"""Read the stored members of a team."""

from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.models import User
from opportune.contrib.teams.models import Team, TeamMember
from opportune.db.database import Database


async def roles_in(database: Database, team: Team) -> dict[str, str]:
    """Return the role of each member by the local part of the address."""
    query = select(col(User.email), col(TeamMember.role)).join(TeamMember, col(TeamMember.user_id) == col(User.id))
    async with database.reader(fresh=True) as session:
        rows = await session.execute(query.where(col(TeamMember.team_id) == team.id))
        return {email.partition("@")[0]: str(role) for email, role in rows}


async def member_id(database: Database, team: Team, user: User) -> int:
    query = select(col(TeamMember.id)).where(col(TeamMember.team_id) == team.id, col(TeamMember.user_id) == user.id)
    async with database.reader(fresh=True) as session:
        return (await session.scalars(query)).one()
