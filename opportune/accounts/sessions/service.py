"""Sessions of browsers: of each only the hash of its token, in the database, where it can be deleted."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import col

from opportune.accounts.models import ApiToken, Session, User
from opportune.accounts.sessions.credentials import UserCredentials, hash_token, prune
from opportune.config.settings import Settings
from opportune.db.model import utc_now
from opportune.web.client import Client
from opportune.web.user_agent import describe_user_agent

IMPERSONATOR = "A superuser, signed in as you"


class UserSessions(UserCredentials[Session]):
    """The sessions of one user, the last used first."""

    kind = Session
    newest_first = (col(Session.seen_at), col(Session.id))


def session_device(row: Session) -> str:
    """Name the device of a session. Of a superuser who is signed in as somebody it is not told."""
    return describe_user_agent(row.agent) if row.impersonator_session_id is None else IMPERSONATOR


async def create_session(
    session: AsyncSession, settings: Settings, user: User, client: Client | None = None, *, remember: bool = False
) -> str:
    """Make a session and give its token, which is stored nowhere."""
    await prune(session, user, Session)
    client = client or Client()
    now, token = utc_now(), secrets.token_urlsafe(32)
    made = Session(token_hash=hash_token(token), user_id=user.id, expires_at=now, is_remembered=remember)
    made.expires_at = expiry_of(settings, made, now)
    made.address, made.agent = client.address[:64], client.user_agent[:256]
    session.add(made)
    return token


def expiry_of(settings: Settings, row: Session, seen_at: datetime) -> datetime:
    """The moment at which a session is over, if it is not seen after this."""
    if row.impersonator_session_id is not None:  # for an hour, however much it is used
        return row.expires_at
    last = row.created_at + timedelta(days=settings.session_days)
    return last if row.is_remembered else min(last, seen_at + timedelta(hours=settings.session_idle_hours))


async def confirm_session(session: AsyncSession, row: Session) -> str | None:
    """Note that its owner showed just now who they are. It may do more from here, so it gets another token.

    None if it has been ended meanwhile.
    """
    token = secrets.token_urlsafe(32)
    confirmed = {"token_hash": hash_token(token), "confirmed_at": utc_now()}
    mine = update(Session).where(col(Session.id) == row.id, col(Session.token_hash) == row.token_hash)
    if await session.scalar(mine.values(confirmed).returning(col(Session.id))) is None:
        return None
    for name, value in confirmed.items():
        set_committed_value(row, name, value)
    return token


async def confirm_sessions(session: AsyncSession, user: User) -> None:
    """Note of somebody whose only session has just begun that they have shown who they are."""
    await session.execute(update(Session).where(col(Session.user_id) == user.id).values(confirmed_at=utc_now()))


async def forget_confirmations(session: AsyncSession, user: User) -> None:
    """Ask again in all browsers: it takes more now to show who they are."""
    await session.execute(update(Session).where(col(Session.user_id) == user.id).values(confirmed_at=None))


async def delete_session(session: AsyncSession, token: str) -> None:
    """End a session. With that of somebody else in which a superuser is signed in goes their own, and the other way."""
    shown = col(Session.token_hash) == hash_token(token)
    own = select(col(Session.impersonator_session_id)).where(shown)
    await session.execute(delete(Session).where(shown | col(Session.id).in_(own)))


async def delete_all_sessions(session: AsyncSession, user: User) -> None:
    """Sign somebody out everywhere, programs too."""
    for kind in (Session, ApiToken):
        await session.execute(delete(kind).where(col(kind.user_id) == user.id))
