"""A team to look at: of the first superuser, with the demo's people in it, where they are."""

from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.demo import EMAILS, demo_owner
from opportune.accounts.models import User
from opportune.contrib.teams.models import Team, TeamMember, TeamRole

# A moment that has passed marks ours for good, whatever it is called by now.
MARK = datetime(2026, 1, 5, 9, 41, tzinfo=UTC)
is_ours = col(Team.created_at) == MARK
ROLES = [TeamRole.ADMIN, *[TeamRole.MEMBER] * 5]


async def load(session: AsyncSession) -> int:
    owner = await demo_owner(session, "The team")
    if await session.scalar(select(col(Team.id)).where(is_ours)):
        return 0
    session.add(team := Team(name="Harbour Street Library", created_at=MARK))
    await session.flush()
    wanted = select(User).where(col(User.email).in_(EMAILS), col(User.id) != owner.id).order_by(col(User.id))
    people = list(await session.scalars(wanted))
    session.add(TeamMember(team_id=team.id, user_id=owner.id, role=TeamRole.OWNER))
    session.add_all(
        TeamMember(team_id=team.id, user_id=user.id, role=role) for user, role in zip(people, ROLES, strict=False)
    )
    return 1


async def clear(session: AsyncSession) -> int:
    return len((await session.execute(delete(Team).where(is_ours).returning(col(Team.id)))).all())
