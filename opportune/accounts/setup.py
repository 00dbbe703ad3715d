"""The first superuser where nobody has a shell: by a link that only who reads the log, or ADMIN_EMAIL, has.

The link is random and signed, ends with the day, and counts for nothing as soon as there is a superuser.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from itsdangerous import BadData
from sqlalchemy import exists, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts import emails
from opportune.accounts.models import User
from opportune.accounts.sessions import service
from opportune.accounts.two_factor import totp
from opportune.db.database import Database
from opportune.db.errors import explain
from opportune.errors import OperatorError
from opportune.mail import InvalidEmailError, enqueue_email, render_email
from opportune.mail.email import site_url
from opportune.settings import Settings
from opportune.signing import signer

logger = logging.getLogger(__name__)

LINK_LIFETIME_SECONDS = 24 * 60 * 60
PURPOSE = "set up the first superuser"
MAILED_EVERY, TOLD_EVERY = 3600, 60
"""Seconds."""
ADVISORY_LOCK_KEY = 0x7365747570  # any number will do, if it is the same in every process


@asynccontextmanager
async def invite_first_superuser(app: FastAPI) -> AsyncIterator[None]:
    """Look for a superuser beside the first requests: the start waits for no database."""
    # A test starts without one as a rule, and has no log to be read.
    look = None if app.state.settings.environment == "test" else asyncio.create_task(_invite_if_needed(app))
    try:
        yield
    finally:
        if look:
            look.cancel()
            with suppress(asyncio.CancelledError):
                await look


async def _invite_if_needed(app: FastAPI) -> None:
    database: Database = app.state.database
    try:
        async with database.reader(fresh=True) as session:
            is_needed = not await has_superuser(session)
    except SQLAlchemyError as error:
        logger.info("Whether there is a superuser is not known. %s", explain(error, database.url))
        return
    if is_needed and database.url.kind != "memory":  # in which nobody can be stored
        await send_invitation(app)


async def has_superuser(session: AsyncSession) -> bool:
    """Whether there is a superuser, and so nothing to set up."""
    return bool(await session.scalar(select(exists().where(col(User.is_superuser)))))


async def send_invitation(app: FastAPI) -> None:
    """Put a link into the log, at most once a minute, and send it to ADMIN_EMAIL, at most once an hour."""
    settings: Settings = app.state.settings
    now = time.monotonic()
    if now - getattr(app.state, "invited_at", -TOLD_EVERY) < TOLD_EVERY:
        return
    app.state.invited_at = now
    link = _link(settings)
    logger.warning("Nobody may use the admin yet. To become superuser, open within 24 hours: %s", link)
    if invitation_is_emailed(settings):
        await _mail(app.state.database, settings, link)


def invitation_is_emailed(settings: Settings) -> bool:
    """Whether there is somebody to get it by mail, and a way."""
    return bool(settings.admin_email) and emails.email_is_enabled(settings)


def is_valid_token(settings: Settings, token: str) -> bool:
    """Whether it comes from a link of ours that has not ended."""
    try:
        signer(settings, PURPOSE).loads(token, max_age=LINK_LIFETIME_SECONDS)
    except BadData:
        return False
    return True


async def create_first_superuser(session: AsyncSession, email: str, hashed_password: str) -> User | None:
    """The first superuser, or None if there is one. Who has this e-mail already becomes it, signed out everywhere.

    All that let somebody into that account before ends: a stranger may have registered it.
    """
    await _take_lock(session)
    if await has_superuser(session):
        return None
    found = select(User).where(func.lower(User.email) == email).with_for_update()
    user = await session.scalar(found) or User(email=email, hashed_password="")
    user.hashed_password = hashed_password
    user.is_active = user.is_verified = user.is_staff = user.is_superuser = True
    session.add(user)
    await session.flush()
    await service.delete_all_sessions(session, user)
    await totp.disable(session, user)
    return user


async def _take_lock(session: AsyncSession) -> None:
    """Until the transaction ends nobody else sets up. With SQLite there is one that writes at a time anyway."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK_KEY)))


def _link(settings: Settings) -> str:
    token = signer(settings, PURPOSE).dumps(secrets.token_urlsafe(24))
    return f"{site_url(settings)}/accounts/setup?token={token}"


async def _mail(database: Database, settings: Settings, link: str) -> None:
    """All processes and starts of an hour send one together."""
    try:
        letter = render_email(settings, settings.admin_email, "accounts/mail/setup", {"link": link})
        async with database.writer() as session:
            enqueue_email(session, letter, key=f"accounts.setup {int(time.time()) // MAILED_EVERY}")
    except (InvalidEmailError, OperatorError) as error:
        logger.warning("The link cannot be sent to ADMIN_EMAIL. %s", error)
    except SQLAlchemyError as error:
        logger.warning("The link cannot be sent to ADMIN_EMAIL. %s", explain(error, database.url))
