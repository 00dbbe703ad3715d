"""The cookie of a session: a browser signs in, confirms its user's identity, and signs out."""

from datetime import timedelta

from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from opportune.accounts.events.service import record_sign_in
from opportune.accounts.models import Session, User
from opportune.accounts.sessions import service
from opportune.accounts.sessions.page_cookies import trust_device, trusted_device
from opportune.accounts.users.context import AccountContext, user_manager
from opportune.config.settings import Settings
from opportune.db.models.model import utc_now
from opportune.project.feature_packages import HAS_PROJECT
from opportune.web.client import Client
from opportune.web.cookies import add_cookies


def cookie_name(settings: Settings) -> str:
    # With the prefix __Host-, browsers accept the cookie only over TLS, and not from other hosts of the domain.
    # An existing application may have a `session` itself, which is the default name of Starlette's middleware.
    name = "session" if HAS_PROJECT else "opportune_session"
    return f"__Host-{name}" if settings.has_secure_cookies else name


def read_session_token(request: HTTPConnection) -> str | None:
    return request.cookies.get(cookie_name(request.app.state.settings))


async def start_session(
    session: AsyncSession, user: User, request: Request, response: Response, *, remember: bool = False
) -> None:
    """Start a session, trust this device, and notify the project's `UserManager`.

    Args:
        session: A writing session.
        user: The authenticated user.
        request: The request that signs in.
        response: The response that gets the cookies.
        remember: Whether the session survives the browser, for `SESSION_DAYS`.
    """
    await renew_session(session, user, request, response, remember=remember)
    context = AccountContext(session, request.app.state.settings, request.app.state.rate_limiter, Client.of(request))
    await record_sign_in(context, user, is_known=bool(trusted_device(request, user.email)))
    trust_device(request, response, user)
    await context.manager.on_after_login(user, request, response)


async def renew_session(
    session: AsyncSession, user: User, request: Request, response: Response, *, remember: bool = False
) -> None:
    """Start a new session. The browser's previous session ends, because an attacker may know its token."""
    settings: Settings = request.app.state.settings
    await _delete_session(session, request)
    token = await service.create_session(session, settings, user, Client.of(request), remember=remember)
    _set_cookie(request, response, token, timedelta(days=settings.session_days) if remember else None)


async def sign_out(session: AsyncSession, request: Request, response: Response) -> None:
    """End the session of this browser, if it has one."""
    await _delete_session(session, request)
    _set_cookie(request, response, "", timedelta())
    # Not "cookies", because that would delete the time zone. theme.js saves the theme again when the storage is empty.
    response.headers["Clear-Site-Data"] = '"cache", "storage"'


async def confirm_session(session: AsyncSession, row: Session, request: Request) -> None:
    """Store that the user has just confirmed their identity, and give the browser a new token.

    The change is committed immediately and the cookie is part of every response to this request, also of an error page.
    Otherwise an error could leave the browser with an invalid token.
    """
    if token := await service.confirm_session(session, row):
        await user_manager(session, request.app.state.settings).release()
        cookie_response = Response()
        set_session_cookie(request, cookie_response, row, token)
        add_cookies(request, cookie_response)


def set_session_cookie(request: Request, response: Response, row: Session, token: str) -> None:
    """Set the cookie of an existing session."""
    _set_cookie(request, response, token, row.expires_at - utc_now() if row.is_remembered else None)


async def _delete_session(session: AsyncSession, request: Request) -> None:
    if token := read_session_token(request):
        await service.delete_session(session, token)


def _set_cookie(request: Request, response: Response, token: str, lifetime: timedelta | None) -> None:
    """Set the cookie. Without a lifetime, the browser deletes it when it is closed."""
    settings: Settings = request.app.state.settings
    name, secure = cookie_name(settings), settings.has_secure_cookies
    max_age = None if lifetime is None else int(lifetime.total_seconds())
    response.set_cookie(name, token, max_age=max_age, path="/", secure=secure, httponly=True, samesite="lax")
