"""Sessions of browsers: a random token in a cookie, and its hash in the database, where it can be ended."""

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request
from starlette.responses import Response

from app.accounts.models import Session, User
from app.core.db.model import utc_now
from app.core.settings import Settings

LIFETIME = timedelta(days=14)


def cookie_name(settings: Settings) -> str:
    # With this prefix browsers take the cookie over TLS only, and from no other host of the domain.
    return "__Host-session" if settings.is_production else "session"


def token_of(request: Request) -> str | None:
    return request.cookies.get(cookie_name(request.app.state.settings))


async def owner(session: AsyncSession, token: str) -> User | None:
    """The active user who is signed in with this token."""
    statement = (
        select(User)
        .join(Session, col(Session.user_id) == col(User.id))
        .where(col(Session.token_hash) == _hash(token), col(Session.expires_at) > utc_now(), col(User.is_active))
    )
    return (await session.scalars(statement)).one_or_none()


async def sign_in(session: AsyncSession, user: User, request: Request, response: Response) -> None:
    """Start a session. The browser's old one ends: a token from before the sign-in is worth nothing after it."""
    await end(session, request)
    address = request.client.host if request.client else ""
    token = await start(session, user, address, request.headers.get("user-agent", ""))
    _set_cookie(request, response, token, int(LIFETIME.total_seconds()))


async def start(session: AsyncSession, user: User, address: str = "", agent: str = "") -> str:
    """Make a session and give its token, which is stored nowhere. Sweeps out the user's expired ones."""
    now, token = utc_now(), secrets.token_urlsafe(32)
    await session.execute(delete(Session).where(col(Session.user_id) == user.id, col(Session.expires_at) <= now))
    made = Session(token_hash=_hash(token), user_id=user.id, expires_at=now + LIFETIME)
    made.address, made.agent = address[:64], agent[:256]
    session.add(made)
    return token


async def sign_out(session: AsyncSession, request: Request, response: Response) -> None:
    await end(session, request)
    _set_cookie(request, response, "", 0)


async def end(session: AsyncSession, request: Request) -> None:
    """End the session of this browser, if it has one."""
    if token := token_of(request):
        await session.execute(delete(Session).where(col(Session.token_hash) == _hash(token)))


async def end_all(session: AsyncSession, user: User) -> None:
    """Sign somebody out everywhere."""
    await session.execute(delete(Session).where(col(Session.user_id) == user.id))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _set_cookie(request: Request, response: Response, token: str, seconds: int) -> None:
    settings: Settings = request.app.state.settings
    name, secure = cookie_name(settings), settings.is_production
    response.set_cookie(name, token, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax")
