"""Delivery of the e-mails of accounts."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.jobs import JobContext, job
from opportune.mail import InvalidEmailError, enqueue_email, render_email
from opportune.mail.outage import REPORT_OUTAGE


def email_is_delivered(settings: Settings) -> bool:
    """Return whether e-mails reach their recipients. With `console:` they are only written to the log."""
    return not settings.mail_url.get_secret_value().strip().lower().startswith("console:")


def email_is_enabled(settings: Settings) -> bool:
    """Return whether e-mails are sent. In development it is enough to write them to the log and the local mailbox."""
    return email_is_delivered(settings) or not settings.is_production


def send_account_email(
    session: AsyncSession, settings: Settings, to: User | str, template: str, /, **context: Any
) -> None:
    """Queue an e-mail from a template of `templates/accounts/mail`, if the site sends e-mails.

    A user gets it in their language, and an address in the language of the request or job.
    """
    if not email_is_enabled(settings):
        return
    language = to.language if isinstance(to, User) else ""
    address = to.email if isinstance(to, User) else to
    enqueue_email(session, render_email(settings, address, f"accounts/mail/{template}", context, language=language))


async def email_superusers(
    session: AsyncSession, settings: Settings, template: str, context: Mapping[str, object]
) -> None:
    """Queue an e-mail to each active superuser, if the site sends e-mails."""
    if not email_is_enabled(settings):
        return
    users = select(User).where(col(User.is_superuser), col(User.is_active)).order_by(col(User.id))
    for user in await session.scalars(users):
        with suppress(InvalidEmailError):
            language = user.language or settings.language
            enqueue_email(session, render_email(settings, user.email, template, context, language=language))


@job(REPORT_OUTAGE)
async def report_mail_outage(run: JobContext, reason: str) -> None:
    """Report to all superusers that e-mails could not be sent."""
    await run.write(email_superusers, run.settings, "accounts/mail/outage", {"reason": reason})
