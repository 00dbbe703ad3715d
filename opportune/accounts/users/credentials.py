"""Deletion of all credentials of a user."""

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import ApiToken, LinkedAccount, Passkey, RecoveryCode, Session, User


async def delete_all_sessions(session: AsyncSession, user: User) -> None:
    """End all sessions and tokens of a user."""
    for model in (Session, ApiToken):
        await session.execute(delete(model).where(col(model.user_id) == user.id))


async def delete_sign_in_methods(session: AsyncSession, user: User) -> None:
    """Delete linked accounts and second factors, because another person may have registered the address."""
    user.totp_secret, user.totp_step = "", 0
    session.add(user)
    await session.flush()
    for model in (LinkedAccount, Passkey, RecoveryCode):
        await session.execute(delete(model).where(col(model.user_id) == user.id))
