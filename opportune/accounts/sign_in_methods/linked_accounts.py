"""Accounts at other sites that are linked to a user."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import LinkedAccount, User
from opportune.accounts.sign_in_methods.providers import Provider, list_configured_providers
from opportune.config.settings import Settings
from opportune.db.database import Database


async def find_linked_accounts(session: AsyncSession, user: User) -> Sequence[LinkedAccount]:
    """Return the user's linked accounts, oldest first."""
    query = select(LinkedAccount).where(col(LinkedAccount.user_id) == user.id).order_by(col(LinkedAccount.id))
    return (await session.scalars(query)).all()


async def label_accounts(database: Database, settings: Settings, user: User) -> list[tuple[LinkedAccount, str]]:
    """Return the user's linked accounts, each with the label of its provider."""
    async with database.reader(fresh=True) as session:
        return [(row, get_account_label(settings, row)) for row in await find_linked_accounts(session, user)]


def find_account_provider(settings: Settings, row: LinkedAccount) -> Provider | None:
    """Return the provider of a linked account; None if the settings no longer configure it."""
    providers = list_configured_providers(settings)
    return next((provider for provider in providers if provider.accepts_issuer(row.issuer)), None)


def get_account_label(settings: Settings, row: LinkedAccount) -> str:
    provider = find_account_provider(settings, row)
    return provider.label if provider else row.issuer.removeprefix("https://")
