"""Sessions of browsers."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import col

from opportune.accounts.models import Session, User
from opportune.accounts.sessions.credentials import UserCredentials, delete_expired_and_surplus, hash_token
from opportune.config.settings import Settings
from opportune.db.clock import utc_now
from opportune.i18n import gettext_lazy as _l
from opportune.web.client import Client, describe_user_agent

IMPERSONATOR = _l("A superuser, signed in as you")


class UserSessions(UserCredentials[Session]):
    """Sessions of one user, last used first."""

    model = Session
    newest_first = (col(Session.seen_at), col(Session.id))


def describe_session_device(row: Session) -> str:
    """Describe the device of a session. The device of a superuser who is signed in as the user stays hidden."""
    return str(IMPERSONATOR) if row.is_impersonation else describe_user_agent(row.agent)


async def create_session(
    session: AsyncSession, settings: Settings, user: User, client: Client | None = None, *, remember: bool = False
) -> str:
    """Create a session and return its token, which is not stored."""
    await delete_expired_and_surplus(session, user, Session)
    client = client or Client()
    now = utc_now()
    token = secrets.token_urlsafe(32)
    new_session = Session(
        token_hash=hash_token(token),
        user_id=user.id,
        is_remembered=remember,
        created_at=now,
        expires_at=_expiry(settings, now, now, is_remembered=remember),
        address=client.address,
        agent=client.user_agent,
    )
    session.add(new_session)
    return token


def get_session_expiry(settings: Settings, row: Session, seen_at: datetime) -> datetime:
    """Return when a session expires if it is not used again."""
    if row.is_impersonation:  # an impersonation has a fixed end, even if it is in use
        return row.expires_at
    return _expiry(settings, row.created_at, seen_at, is_remembered=row.is_remembered)


def _expiry(settings: Settings, created_at: datetime, seen_at: datetime, *, is_remembered: bool) -> datetime:
    latest = created_at + timedelta(days=settings.session_days)
    if is_remembered:
        return latest
    return min(latest, seen_at + timedelta(hours=settings.session_idle_hours))


async def confirm_session(session: AsyncSession, row: Session) -> str | None:
    """Store that the user has just confirmed their identity, and return a new token for the session.

    Return None if the session has ended in the meantime.
    """
    token = secrets.token_urlsafe(32)
    changes = {"token_hash": hash_token(token), "confirmed_at": utc_now()}
    statement = update(Session).where(col(Session.id) == row.id, col(Session.token_hash) == row.token_hash)
    if await session.scalar(statement.values(changes).returning(col(Session.id))) is None:
        return None
    for name, value in changes.items():
        set_committed_value(row, name, value)
    return token


async def set_confirmed_at(session: AsyncSession, user: User, at: datetime | None) -> None:
    """Store when the user proved their identity in all of their sessions; None if their sign-in methods changed."""
    await session.execute(update(Session).where(col(Session.user_id) == user.id).values(confirmed_at=at))


async def delete_session(session: AsyncSession, token: str) -> None:
    """End a session. If it is an impersonation, the superuser's own session ends as well."""
    has_token = col(Session.token_hash) == hash_token(token)
    superuser_sessions = select(col(Session.impersonator_session_id)).where(has_token)
    await session.execute(delete(Session).where(has_token | col(Session.id).in_(superuser_sessions)))
