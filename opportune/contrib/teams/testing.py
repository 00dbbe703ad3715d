"""Test helper for teams."""

from collections.abc import Mapping

from opportune.accounts.models import User
from opportune.contrib.teams.models import Team, TeamMember, TeamRole
from opportune.db.database import Database


async def make_team(
    database: Database, owner: User | None = None, others: Mapping[TeamRole, User] | None = None, name: str = "Crew"
) -> Team:
    """Store a team.

    Args:
        database: The test's database.
        owner: Its owner. By default a new user.
        others: Other members by role.
        name: Its name.
    """
    members = {TeamRole.OWNER: owner, **(others or {})}
    async with database.writer() as session:
        session.add(team := Team(name=name))
        await session.flush()
        session.add_all(
            TeamMember(team_id=team.id, user_id=user.id, role=role) for role, user in members.items() if user
        )
    return team
