"""Creation of the first superuser without a shell, by a signed link in the log or in an e-mail to ADMIN_EMAIL.

The link is valid for a day, or until the site has a superuser.
"""

import logging
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from multiprocessing import parent_process

from fastapi import FastAPI
from itsdangerous import BadData
from sqlalchemy import exists, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.emails import email_is_enabled
from opportune.accounts.models import User
from opportune.accounts.submissions import DatabaseSubmissions
from opportune.accounts.users.context import user_manager
from opportune.accounts.users.errors import EmailTakenError
from opportune.accounts.users.queries import delete_all_sessions, delete_sign_in_methods
from opportune.config.email_domains import normalize_email
from opportune.config.settings import Settings, site_url
from opportune.config.signing import signer
from opportune.db.constraint_errors import flush_or_refuse
from opportune.db.database import Database
from opportune.db.errors import explain
from opportune.db.queries.dialects import acquire_advisory_lock
from opportune.errors import NotFound, OperatorError
from opportune.mail import InvalidEmailError, enqueue_email, render_email
from opportune.server.workers import WORKERS_VARIABLE
from opportune.services.clock import clock
from opportune.services.tasks import running

LINK_LIFETIME_SECONDS = 24 * 60 * 60
PURPOSE = "set up the first superuser"

logger = logging.getLogger(__name__)

EMAIL_INTERVAL_SECONDS = 3600
LOG_INTERVAL_SECONDS = 60


async def has_superuser(session: AsyncSession) -> bool:
    return bool(await session.scalar(select(exists().where(col(User.is_superuser)))))


def make_setup_link(settings: Settings) -> str:
    token = signer(settings, PURPOSE).dumps(secrets.token_urlsafe(24))
    return f"{site_url(settings)}/accounts/setup?token={token}"


def is_valid_token(settings: Settings, token: str) -> bool:
    """Return whether the token is from a link of this site that has not expired."""
    try:
        signer(settings, PURPOSE).loads(token, max_age=LINK_LIFETIME_SECONDS)
    except BadData:
        return False
    return True


async def create_first_superuser(session: AsyncSession, email: str, password: str) -> User:
    """Create the first superuser, or promote the account with this e-mail.

    Sessions, tokens and sign-in methods of an existing account end, because another person may have registered it.

    Raises:
        InvalidPasswordError: The password is too weak.
        NotFound: The site has a superuser.
        EmailTakenError: A concurrent request registered this e-mail.
    """
    hashed_password = await user_manager(session).hash_new_password(password, email)
    await acquire_advisory_lock(session, "setup")
    if await has_superuser(session):
        raise NotFound
    email = normalize_email(email)
    existing = select(User).where(func.lower(User.email) == email).with_for_update()
    user: User = await session.scalar(existing) or User(email=email, hashed_password="")
    user.hashed_password = hashed_password
    user.is_active = user.is_verified = user.is_staff = user.is_superuser = True
    session.add(user)
    await flush_or_refuse(session, EmailTakenError())
    await delete_all_sessions(session, user)
    await delete_sign_in_methods(session, user)
    return user


@asynccontextmanager
async def invite_first_superuser(app: FastAPI) -> AsyncIterator[None]:
    """Check in the background whether the site has a superuser, so that its start does not wait for the database."""
    # Most tests have no superuser and do not read the log.
    async with running(None if app.state.settings.environment == "test" else _invite_if_needed(app)):
        yield


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
    """Log a link at most once a minute per server, and send it to ADMIN_EMAIL at most once an hour."""
    settings: Settings = app.state.settings
    now = time.monotonic()
    if now - getattr(app.state, "invited_at", -LOG_INTERVAL_SECONDS) < LOG_INTERVAL_SECONDS:
        return
    app.state.invited_at = now
    if not await _claims_invitation(app.state.database):
        return
    link = make_setup_link(settings)
    logger.warning("This site has no superuser. To become the first one, open this link within 24 hours: %s", link)
    if invitation_is_emailed(settings):
        await _send_email(app.state.database, settings, link)


async def _claims_invitation(database: Database) -> bool:
    """Return False if another worker of this server has logged a link within the last minute."""
    group = os.environ.get(WORKERS_VARIABLE) or getattr(parent_process(), "pid", None)
    with suppress(SQLAlchemyError):
        return not group or await DatabaseSubmissions(database).claim(f"accounts.setup {group}")
    return True


def invitation_is_emailed(settings: Settings) -> bool:
    return bool(settings.admin_email) and email_is_enabled(settings)


async def _send_email(database: Database, settings: Settings, link: str) -> None:
    """Queue the e-mail. Its key prevents other processes from sending another one within the hour."""
    try:
        email = render_email(settings, settings.admin_email, "accounts/mail/setup", {"link": link})
        async with database.writer() as session:
            enqueue_email(session, email, key=f"accounts.setup {int(clock.now()) // EMAIL_INTERVAL_SECONDS}")
    except (InvalidEmailError, OperatorError, SQLAlchemyError) as error:
        reason = explain(error, database.url) if isinstance(error, SQLAlchemyError) else error
        logger.warning("The link cannot be sent to ADMIN_EMAIL. %s", reason)
