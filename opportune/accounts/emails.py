"""The e-mails of accounts: whether any are sent, and how many somebody may have sent."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.context import AccountContext
from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.jobs import JobCall, defer
from opportune.mail import InvalidEmailError, enqueue_email, render_email
from opportune.web.rate_limit import HOUR_SECONDS, RateLimit

EMAILS_PER_ADDRESS = RateLimit("accounts.emails_per_address", 20)
EMAILS_PER_RECIPIENT = RateLimit("accounts.emails_per_recipient", 5, HOUR_SECONDS)


def email_is_delivered(settings: Settings) -> bool:
    """Whether people get what is sent to them. In the log only who runs the site can read it."""
    return not settings.mail_url.get_secret_value().strip().lower().startswith("console:")


def email_is_enabled(settings: Settings) -> bool:
    """Whether e-mails are sent at all, if only to the log and the mailbox of development."""
    return email_is_delivered(settings) or not settings.is_production


def send_account_email(session: AsyncSession, settings: Settings, to: str, template: str, /, **context: Any) -> None:
    """Send one of `templates/accounts/mail`, where any are sent."""
    if email_is_enabled(settings):
        enqueue_email(session, render_email(settings, to, f"accounts/mail/{template}", context))


async def email_superusers(
    session: AsyncSession, settings: Settings, template: str, context: Mapping[str, object]
) -> None:
    """Queue an e-mail to each active superuser, if the site sends e-mails."""
    if not email_is_enabled(settings):
        return
    addresses = select(col(User.email)).where(col(User.is_superuser), col(User.is_active)).order_by(col(User.id))
    for address in await session.scalars(addresses):
        try:
            enqueue_email(session, render_email(settings, address, template, context))
        except InvalidEmailError:
            continue


async def request_email(context: AccountContext, email: str, call: JobCall[...]) -> None:
    """Queue a job that writes to an address, if anything is there to be written.

    Raises:
        TooManyRequests: to this address, or for this client, there were too many.
    """
    await count_email(context, email)
    if email_is_enabled(context.settings):
        defer(context.session, call)


async def count_email(context: AccountContext, email: str) -> None:
    """Count an e-mail that somebody asks for: nobody fills a stranger's mailbox. Raises TooManyRequests."""
    address = context.client.address
    await context.limiter.hit(EMAILS_PER_ADDRESS.by(address), EMAILS_PER_RECIPIENT.by(email))
