"""Sign-in methods that a user has. The last one cannot be removed."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.emails import email_is_enabled
from opportune.accounts.models import LinkedAccount, Passkey, User
from opportune.accounts.sign_in_methods.providers import Provider, list_configured_providers
from opportune.accounts.sign_in_methods.second_factor import has_passkey
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.i18n import gettext_lazy as _l

LAST_SIGN_IN_METHOD = _l("This is your only sign-in method. Choose a password first.")


class SignInMethods(NamedTuple):
    """Number of sign-in methods that work without another one."""

    without_passkeys: int
    """A password, sign-in by e-mail, and linked accounts whose provider is still configured."""
    passkeys: int
    """Passkeys whose device verifies the user by PIN or biometrics."""

    @property
    def total(self) -> int:
        return self.without_passkeys + self.passkeys


def email_sign_in_is_offered(settings: Settings) -> bool:
    return settings.email_sign_in and email_is_enabled(settings)


def signs_in_by_email(settings: Settings, user: User) -> bool:
    return user.is_verified and email_sign_in_is_offered(settings)


async def confirms_by_email(session: AsyncSession, settings: Settings, user: User) -> bool:
    """Return whether the user can confirm their identity only by e-mail: without a password or passkey."""
    return not user.has_password and signs_in_by_email(settings, user) and not await has_passkey(session, user)


async def count_sign_in_methods(session: AsyncSession, settings: Settings, user: User) -> SignInMethods:
    accounts = await find_linked_accounts(session, user)
    usable_accounts = [account for account in accounts if find_account_provider(settings, account)]
    without_passkeys = len(usable_accounts) + int(user.has_password) + int(signs_in_by_email(settings, user))
    query = select(func.count()).where(col(Passkey.user_id) == user.id, col(Passkey.verifies_user))
    return SignInMethods(without_passkeys, await session.scalar(query) or 0)


async def find_linked_accounts(session: AsyncSession, user: User) -> Sequence[LinkedAccount]:
    """Return the user's linked accounts, oldest first."""
    query = select(LinkedAccount).where(col(LinkedAccount.user_id) == user.id).order_by(col(LinkedAccount.id))
    return (await session.scalars(query)).all()


async def label_accounts(database: Database, settings: Settings, user: User) -> list[tuple[LinkedAccount, str]]:
    async with database.reader(fresh=True) as session:
        return [(row, get_account_label(settings, row)) for row in await find_linked_accounts(session, user)]


def find_account_provider(settings: Settings, row: LinkedAccount) -> Provider | None:
    """Return the provider of a linked account; None if the settings no longer configure it."""
    providers = list_configured_providers(settings)
    return next((provider for provider in providers if provider.accepts_issuer(row.issuer)), None)


def get_account_label(settings: Settings, row: LinkedAccount) -> str:
    provider = find_account_provider(settings, row)
    return provider.label if provider else row.issuer.removeprefix("https://")
