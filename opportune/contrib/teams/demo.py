"""Demo data: a team of the first superuser, with the demo's users as members if they exist."""

from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.demo import EMAILS, demo_owner
from opportune.accounts.models import User
from opportune.contrib.teams.models import Team, TeamMember, TeamRole

CREATED_AT = datetime(2026, 1, 5, 9, 41, tzinfo=UTC)
"""Creation time of the demo team, which identifies it even if it is renamed."""
is_demo = col(Team.created_at) == CREATED_AT
ROLES = [TeamRole.OWNER, TeamRole.ADMIN, *[TeamRole.MEMBER] * 5]


async def load(session: AsyncSession) -> int:
    owner = await demo_owner(session, "The team")
    if await session.scalar(select(col(Team.id)).where(is_demo)):
        return 0
    session.add(team := Team(name="Harbour Street Library", created_at=CREATED_AT))
    await session.flush()
    query = select(User).where(col(User.email).in_(EMAILS), col(User.id) != owner.id).order_by(col(User.id))
    users = [owner, *await session.scalars(query)]
    session.add_all(
        TeamMember(team_id=team.id, user_id=user.id, role=role) for user, role in zip(users, ROLES, strict=False)
    )
    return 1


async def clear(session: AsyncSession) -> int:
    return len((await session.execute(delete(Team).where(is_demo).returning(col(Team.id)))).all())
