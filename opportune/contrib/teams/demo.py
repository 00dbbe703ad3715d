"""Demo data: a team of the first superuser, with the demo's users as members if they exist."""

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.demo import EMAILS, demo_owner
from opportune.accounts.models import User
from opportune.contrib.teams.models import Team, TeamMember, TeamRole
from opportune.db import DemoRows

demo_teams = DemoRows(Team, ["Harbour Street Library"], datetime(2026, 1, 5, 9, 41, tzinfo=UTC))
ROLES = [TeamRole.OWNER, TeamRole.ADMIN, *[TeamRole.MEMBER] * 5]


async def load(session: AsyncSession) -> int:
    owner = await demo_owner(session, "the team")
    missing = await demo_teams.missing(session)
    for created_at, name in missing:
        session.add(team := Team(name=name, created_at=created_at))
        await session.flush()
        query = select(User).where(col(User.email).in_(EMAILS), col(User.id) != owner.id).order_by(col(User.id))
        users = [owner, *await session.scalars(query)]
        session.add_all(
            TeamMember(team_id=team.id, user_id=user.id, role=role) for user, role in zip(users, ROLES, strict=False)
        )
    return len(missing)


async def clear(session: AsyncSession) -> int:
    return await demo_teams.clear(session)
