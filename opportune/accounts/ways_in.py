"""What signs somebody in by itself, of which nobody takes away the last one."""

from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.email_sign_in.service import signs_in_by_email
from opportune.accounts.models import LinkedAccount, Passkey, User
from opportune.accounts.social_sign_in.providers import configured_providers
from opportune.config.settings import Settings


@dataclass(frozen=True)
class WaysIn:
    """How many of each kind somebody has."""

    passwords: int
    linked_accounts: int
    """Whose providers the settings name."""
    emails: int
    """Where people sign in by an e-mail."""
    passkeys: int
    """Which are enough alone."""

    @property
    def others_than_passkeys(self) -> int:
        return self.passwords + self.linked_accounts + self.emails

    @property
    def total(self) -> int:
        return self.others_than_passkeys + self.passkeys


async def count_ways_in(session: AsyncSession, settings: Settings, user: User) -> WaysIn:
    issuers = await session.scalars(select(col(LinkedAccount.issuer)).where(col(LinkedAccount.user_id) == user.id))
    providers = configured_providers(settings)
    linked = sum(any(provider.vouches_by(issuer) for provider in providers) for issuer in issuers)
    mine = select(func.count()).where(col(Passkey.user_id) == user.id, col(Passkey.verifies_user))
    by_email = signs_in_by_email(settings, user)
    return WaysIn(int(user.has_password), linked, int(by_email), await session.scalar(mine) or 0)


async def delete_ways_in(session: AsyncSession, user: User) -> None:
    """All but the password: for an account that may have been somebody else's until now."""
    for kind in (LinkedAccount, Passkey):
        await session.execute(delete(kind).where(col(kind.user_id) == user.id))
