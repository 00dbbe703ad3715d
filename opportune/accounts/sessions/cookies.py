"""The cookie that a browser knows its session by."""

from datetime import timedelta

from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from opportune.accounts.events.service import record_sign_in
from opportune.accounts.models import Session, User
from opportune.accounts.sessions import service
from opportune.accounts.sessions.trusted_devices import trust_device, trusted_device
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.factory import user_manager
from opportune.config.settings import Settings
from opportune.db.model import utc_now
from opportune.web.answer_cookies import send_cookies_of
from opportune.web.client import Client


def cookie_name(settings: Settings) -> str:
    # With this prefix browsers take the cookie over TLS only, and from no other host of the domain.
    return "__Host-session" if settings.has_secure_cookies else "session"


def read_session_token(request: HTTPConnection) -> str | None:
    return request.cookies.get(cookie_name(request.app.state.settings))


async def sign_in(
    session: AsyncSession, user: User, request: Request, response: Response, *, remember: bool = False
) -> None:
    """Start a session, know the browser again, and tell the project's `UserManager` that somebody has signed in."""
    await renew_session(session, user, request, response, remember=remember)
    context = AccountContext(session, request.app.state.settings, request.app.state.rate_limiter, Client.of(request))
    await record_sign_in(context, user, is_known_browser=bool(trusted_device(request, user.email)))
    trust_device(request, response, user)
    await context.manager.on_after_login(user, request, response)


async def renew_session(
    session: AsyncSession, user: User, request: Request, response: Response, *, remember: bool = False
) -> None:
    """Start a session. The browser's old one ends: a token from before is worth nothing after it."""
    settings: Settings = request.app.state.settings
    await _delete_session(session, request)
    token = await service.create_session(session, settings, user, Client.of(request), remember=remember)
    _set_cookie(request, response, token, timedelta(days=settings.session_days) if remember else None)


async def sign_out(session: AsyncSession, request: Request, response: Response) -> None:
    """End the session of this browser, if it has one."""
    await _delete_session(session, request)
    _set_cookie(request, response, "", timedelta())
    # Not "cookies", which has the time zone. theme.js rescues the theme from the storage.
    response.headers["Clear-Site-Data"] = '"cache", "storage"'


async def confirm_session(session: AsyncSession, row: Session, request: Request) -> None:
    """Note that its owner showed just now who they are: it goes on with another token, whatever is answered.

    It is committed at once: nothing that fails later may leave the browser with a token that is none.
    """
    if token := await service.confirm_session(session, row):
        await user_manager(session, request.app.state.settings).release()
        carrier = Response()
        set_session_cookie(request, carrier, row, token)
        send_cookies_of(request, carrier)


def set_session_cookie(request: Request, response: Response, row: Session, token: str) -> None:
    """Have the browser go on with this session."""
    _set_cookie(request, response, token, row.expires_at - utc_now() if row.is_remembered else None)


async def _delete_session(session: AsyncSession, request: Request) -> None:
    if token := read_session_token(request):
        await service.delete_session(session, token)


def _set_cookie(request: Request, response: Response, token: str, lifetime: timedelta | None) -> None:
    """Without a lifetime the browser forgets it when it is closed."""
    settings: Settings = request.app.state.settings
    name, secure = cookie_name(settings), settings.has_secure_cookies
    seconds = None if lifetime is None else int(lifetime.total_seconds())
    response.set_cookie(name, token, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax")
