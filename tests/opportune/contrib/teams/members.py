"""Read and change the stored members of a team."""

from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.models import User
from opportune.contrib.teams.models import Team, TeamMember, TeamRole
from opportune.db.database import Database
from tests.opportune.stored_rows import add_rows, change, read_one


async def roles_in(database: Database, team: Team) -> dict[str, str]:
    query = select(col(User.email), col(TeamMember.role)).join(TeamMember, col(TeamMember.user_id) == col(User.id))
    async with database.reader(fresh=True) as session:
        rows = await session.execute(query.where(col(TeamMember.team_id) == team.id))
        return {email.partition("@")[0]: str(role) for email, role in rows}


async def member_id(database: Database, team: Team, user: User) -> int:
    return int((await read_one(database, TeamMember, team_id=team.id, user_id=user.id)).id)


async def add_member(database: Database, team: Team, user: User, role: TeamRole) -> None:
    await add_rows(database, TeamMember(team_id=team.id, user_id=user.id, role=role))


async def make_owner(database: Database, team: Team, user: User) -> None:
    member = await read_one(database, TeamMember, team_id=team.id, user_id=user.id)
    await change(database, member, role=TeamRole.OWNER)
