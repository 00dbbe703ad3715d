"""Second factors of a user: an authenticator app, passkeys, or both."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import Passkey, User
from opportune.config.settings import Settings
from opportune.db.database import Database


async def has_passkey(session: AsyncSession, user: User) -> bool:
    query = select(col(Passkey.id)).where(col(Passkey.user_id) == user.id).limit(1)
    return await session.scalar(query) is not None


async def has_second_factor(session: AsyncSession, user: User) -> bool:
    """Return whether a sign-in needs more than a password, an e-mail or a linked account."""
    return user.has_two_factor or await has_passkey(session, user)


async def setup_is_required(database: Database, settings: Settings, user: User) -> bool:
    """Return whether the site requires a second factor of this user, and the user has none."""
    if user.has_two_factor or not _needs_second_factor(settings, user):
        return False
    async with database.reader(fresh=True) as session:
        return not await has_passkey(session, user)


def _needs_second_factor(settings: Settings, user: User) -> bool:
    policy = settings.needs_second_factor
    return policy == "all" or (policy == "staff" and (user.is_staff or user.is_superuser))
