"""Queries for users."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.config.email_domains import normalize_email

REQUEST_KEY = "request"
"""Key of `session.info` for the request of a session. The manager passes that request to its hooks."""


async def find_by_email(session: AsyncSession, email: str) -> User | None:
    """Return the user with this e-mail, in upper or lower case, and in any Unicode form."""
    user: User | None = await session.scalar(select(User).where(func.lower(col(User.email)) == normalize_email(email)))
    return user


async def find_active_by_email(session: AsyncSession, email: str) -> User | None:
    user = await find_by_email(session, email)
    return user if user and user.is_active else None
