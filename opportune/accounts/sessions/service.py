"""Sessions of browsers: a random token in a cookie, and its hash in the database, where it can be ended."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, event, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request
from starlette.responses import Response

from opportune.accounts.models import ApiToken, Session, User
from opportune.db.model import utc_now
from opportune.settings import Settings
from opportune.web.rate_limit import client_address

REMEMBER_FOR = timedelta(days=30)
"""Of a session that is remembered. The others end with the browser, or as long after they began."""
IDLE_TIMEOUT = timedelta(days=1)
"""After which one that is not remembered is over."""

MAX_PER_USER = 100
"""Sessions, and tokens, that one person can have: signing in again and again fills no disk."""

INVALIDATING_FIELDS = ("hashed_password", "is_active", "is_staff", "is_superuser")
"""What sessions and tokens were given out for: none of them outlives a change."""


def cookie_name(settings: Settings) -> str:
    # With this prefix browsers take the cookie over TLS only, and from no other host of the domain.
    return "__Host-session" if settings.is_production else "session"


def read_session_token(request: Request) -> str | None:
    return request.cookies.get(cookie_name(request.app.state.settings))


async def sign_in(
    session: AsyncSession, user: User, request: Request, response: Response, remember: bool = False
) -> None:
    """Start a session. The browser's old one ends: a token from before the sign-in is worth nothing after it."""
    await delete_session(session, request)
    token = await create_session(
        session, user, client_address(request), request.headers.get("user-agent", ""), remember
    )
    _set_cookie(request, response, token, REMEMBER_FOR if remember else None)


async def create_session(
    session: AsyncSession, user: User, address: str = "", agent: str = "", remember: bool = False
) -> str:
    """Make a session and give its token, which is stored nowhere."""
    await prune(session, user, Session)
    now, token = utc_now(), secrets.token_urlsafe(32)
    made = Session(token_hash=hash_token(token), user_id=user.id, expires_at=now, is_remembered=remember)
    made.expires_at = expiry_of(made, now)
    made.address, made.agent = address[:64], agent[:256]
    session.add(made)
    return token


async def prune(session: AsyncSession, user: User, kind: type[Session | ApiToken]) -> None:
    """For one more: the user's expired ones go, and of too many those that would end first."""
    mine, ends = col(kind.user_id) == user.id, col(kind.expires_at)
    too_many = select(col(kind.id)).where(mine).order_by(ends.desc(), col(kind.id).desc()).offset(MAX_PER_USER - 1)
    await session.execute(delete(kind).where(mine, (ends <= utc_now()) | col(kind.id).in_(too_many)))


def expiry_of(row: Session, seen_at: datetime) -> datetime:
    """When it is over, if it is not seen after this."""
    last = row.created_at + REMEMBER_FOR
    return last if row.is_remembered else min(last, seen_at + IDLE_TIMEOUT)


async def confirm_session(session: AsyncSession, row: Session, request: Request, response: Response) -> None:
    """Note that the password was asked again just now. The session may do more from here, so it gets another token."""
    token, now = secrets.token_urlsafe(32), utc_now()
    session.add(row)
    row.token_hash, row.confirmed_at = hash_token(token), now
    _set_cookie(request, response, token, row.expires_at - now if row.is_remembered else None)


async def sign_out(session: AsyncSession, request: Request, response: Response) -> None:
    await delete_session(session, request)
    _set_cookie(request, response, "", timedelta())


async def delete_session(session: AsyncSession, request: Request) -> None:
    """End the session of this browser, if it has one."""
    if token := read_session_token(request):
        await session.execute(delete(Session).where(col(Session.token_hash) == hash_token(token)))


async def delete_all_sessions(session: AsyncSession, user: User, keep: Session | None = None) -> None:
    """Sign somebody out everywhere, programs too, but for the session to keep."""
    others = delete(Session).where(col(Session.user_id) == user.id)
    await session.execute(others.where(col(Session.id) != keep.id) if keep else others)
    await session.execute(delete(ApiToken).where(col(ApiToken.user_id) == user.id))


@event.listens_for(User, "after_update")
def _delete_when_invalidated(_mapper: Any, connection: Connection, user: User) -> None:
    """Whoever changes it, by page, admin or command. Statements that update many rows at once pass this by."""
    attributes = inspect(user, raiseerr=True).attrs
    if any(attributes[name].history.has_changes() for name in INVALIDATING_FIELDS):
        for kind in (Session, ApiToken):
            connection.execute(delete(kind).where(col(kind.user_id) == user.id))


def hash_token(token: str) -> str:
    """What is stored of a token. It is random and long: nothing slower is needed, and this is found by an index."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _set_cookie(request: Request, response: Response, token: str, lifetime: timedelta | None) -> None:
    """Without a lifetime the browser forgets it when it is closed."""
    settings: Settings = request.app.state.settings
    name, secure = cookie_name(settings), settings.is_production
    seconds = None if lifetime is None else int(lifetime.total_seconds())
    response.set_cookie(name, token, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax")
