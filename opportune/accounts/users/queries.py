"""Users in the database: find them, lock superusers, and delete credentials."""

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import ApiToken, LinkedAccount, Passkey, RecoveryCode, Session, User
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


async def delete_all_sessions(session: AsyncSession, user: User) -> None:
    """End all sessions and tokens of a user."""
    for model in (Session, ApiToken):
        await session.execute(delete(model).where(col(model.user_id) == user.id))


async def delete_sign_in_methods(session: AsyncSession, user: User) -> None:
    """Delete linked accounts and second factors, because another person may have registered the address."""
    user.totp_secret = ""
    user.totp_step = 0
    session.add(user)
    await session.flush()
    for model in (LinkedAccount, Passkey, RecoveryCode):
        await session.execute(delete(model).where(col(model.user_id) == user.id))


async def lock_superusers(session: AsyncSession) -> set[int]:
    """Lock the active superusers and return their ids. Concurrent removals wait for each other."""
    active = select(col(User.id)).where(col(User.is_superuser), col(User.is_active))
    return set(await session.scalars(active.order_by(col(User.id)).with_for_update()))
