"""Invitation to become the first superuser of a site, in the log and by e-mail."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError

from opportune.accounts.emails.delivery import email_is_enabled
from opportune.accounts.setup.service import has_superuser, make_setup_link
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.errors import explain
from opportune.errors import OperatorError
from opportune.mail import InvalidEmailError, enqueue_email, render_email
from opportune.services.tasks import cancel_and_wait

logger = logging.getLogger(__name__)

EMAIL_INTERVAL_SECONDS = 3600
LOG_INTERVAL_SECONDS = 60


@asynccontextmanager
async def invite_first_superuser(app: FastAPI) -> AsyncIterator[None]:
    """Check in the background whether the site has a superuser, so that its start does not wait for the database."""
    # Most tests have no superuser and do not read the log.
    check = None if app.state.settings.environment == "test" else asyncio.create_task(_invite_if_needed(app))
    try:
        yield
    finally:
        await cancel_and_wait(check)


async def _invite_if_needed(app: FastAPI) -> None:
    database: Database = app.state.database
    try:
        async with database.reader(fresh=True) as session:
            is_needed = not await has_superuser(session)
    except SQLAlchemyError as error:
        logger.info("The search for a superuser failed. %s", explain(error, database.url))
        return
    if is_needed and database.url.kind != "memory":
        await send_invitation(app)


async def send_invitation(app: FastAPI) -> None:
    """Log a link at most once a minute, and send it to ADMIN_EMAIL at most once an hour."""
    settings: Settings = app.state.settings
    now = time.monotonic()
    if now - getattr(app.state, "invited_at", -LOG_INTERVAL_SECONDS) < LOG_INTERVAL_SECONDS:
        return
    app.state.invited_at = now
    link = make_setup_link(settings)
    logger.warning("This site has no superuser. To become the first one, open this link within 24 hours: %s", link)
    if invitation_is_emailed(settings):
        await _send_email(app.state.database, settings, link)


def invitation_is_emailed(settings: Settings) -> bool:
    return bool(settings.admin_email) and email_is_enabled(settings)


async def _send_email(database: Database, settings: Settings, link: str) -> None:
    """Queue the e-mail. Its key prevents other processes from sending another one within the hour."""
    try:
        email = render_email(settings, settings.admin_email, "accounts/mail/setup", {"link": link})
        async with database.writer() as session:
            enqueue_email(session, email, key=f"accounts.setup {int(time.time()) // EMAIL_INTERVAL_SECONDS}")
    except (InvalidEmailError, OperatorError, SQLAlchemyError) as error:
        reason = explain(error, database.url) if isinstance(error, SQLAlchemyError) else error
        logger.warning("The link cannot be sent to ADMIN_EMAIL. %s", reason)
