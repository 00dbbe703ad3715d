"""Cookies: that of a session, that of the sign-in pages, which knows the users of a browser, and those of single pages.

Sign-in attempts of a known browser have their own rate limit, so that an attacker cannot lock the user out. Cookies of
a page are limited to its path, so that requests for cacheable pages carry no cookie.
"""

import hmac
import secrets
from datetime import timedelta
from typing import Any, NamedTuple

from fastapi import Request, Response
from itsdangerous import BadData
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from opportune.accounts.events.service import record_sign_in
from opportune.accounts.models import Session, User
from opportune.accounts.sessions import service
from opportune.accounts.users.context import AccountContext
from opportune.config.email_domains import normalize_email
from opportune.config.settings import Settings
from opportune.config.signing import derived_keys, signer
from opportune.db.clock import utc_now
from opportune.project.current import HAS_PROJECT
from opportune.web.client import Client
from opportune.web.cookies import add_cookies, set_cookie

DEVICE_PURPOSE = "accounts: browser"
DEVICE_SECONDS = 180 * 24 * 60 * 60
COOKIE_PATH = "/accounts"
"""Only sign-in pages need the cookie. Requests for other pages do not send it, so caches can store these pages."""
MAX_ACCOUNTS_PER_DEVICE = 5
"""Maximum number of accounts in the cookie. The account that signed in longest ago is dropped."""


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
    _write_session_cookie(request, response, token, timedelta(days=settings.session_days) if remember else None)


async def sign_out(session: AsyncSession, request: Request, response: Response) -> None:
    """End the session of this browser, if it has one."""
    await _delete_session(session, request)
    _write_session_cookie(request, response, "", timedelta())
    # Not "cookies", because that would delete the time zone. theme.js saves the theme again when the storage is empty.
    response.headers["Clear-Site-Data"] = '"cache", "storage"'


async def confirm_session(session: AsyncSession, row: Session, request: Request) -> None:
    """Store that the user has just confirmed their identity, and give the browser a new token.

    The change is committed immediately and the cookie is part of every response to this request, also of an error page.
    Otherwise an error could leave the browser with an invalid token.
    """
    if token := await service.confirm_session(session, row):
        await session.commit()
        cookie_response = Response()
        set_session_cookie(request, cookie_response, row, token)
        add_cookies(request, cookie_response)


def set_session_cookie(request: Request, response: Response, row: Session, token: str) -> None:
    _write_session_cookie(request, response, token, row.expires_at - utc_now() if row.is_remembered else None)


async def _delete_session(session: AsyncSession, request: Request) -> None:
    if token := read_session_token(request):
        await service.delete_session(session, token)


def _write_session_cookie(request: Request, response: Response, token: str, lifetime: timedelta | None) -> None:
    """Set the cookie. Without a lifetime, the browser deletes it when it is closed."""
    settings: Settings = request.app.state.settings
    max_age = None if lifetime is None else int(lifetime.total_seconds())
    set_cookie(response, settings, cookie_name(settings), token, max_age)


class PageCookie(NamedTuple):
    """A cookie for pages below `path`. Browsers also send it for links from other sites (SameSite=Lax)."""

    name: str
    path: str
    lifetime_seconds: int

    def read(self, request: Request) -> str:
        """Return the value, or an empty string if the request has no such cookie."""
        return request.cookies.get(self._browser_name(request.app.state.settings), "")

    def set(self, request: Request, response: Response, value: str) -> None:
        self._set_cookie(request, response, value, self.lifetime_seconds)

    def delete(self, request: Request, response: Response) -> None:
        self._set_cookie(request, response, "", 0)

    def _browser_name(self, settings: Settings) -> str:
        """Return the name with a prefix if the site uses TLS: browsers then refuse the cookie without TLS."""
        return f"__Secure-{self.name}" if settings.has_secure_cookies else self.name

    def _set_cookie(self, request: Request, response: Response, value: str, max_age: int) -> None:
        settings: Settings = request.app.state.settings
        set_cookie(response, settings, self._browser_name(settings), value, max_age, self.path)


DEVICE_COOKIE = PageCookie("browser", COOKIE_PATH, DEVICE_SECONDS)


def trust_device(request: Request, response: Response, user: User) -> None:
    """Set the cookie that identifies this browser when the user signs in again."""
    settings: Settings = request.app.state.settings
    device_id = trusted_device(request, user.email) or secrets.token_hex(8)
    hashes = _email_hashes(settings, user.email)
    other_accounts = [pair for pair in _read_device_cookie(request) if pair[0] not in hashes]
    value = signer(settings, DEVICE_PURPOSE).dumps([[hashes[0], device_id], *other_accounts][:MAX_ACCOUNTS_PER_DEVICE])
    DEVICE_COOKIE.set(request, response, value)


def trusted_device(request: Request, email: str) -> str:
    """Return the id of this browser, or an empty string if this e-mail has not signed in with it before."""
    settings: Settings = request.app.state.settings
    hashes = _email_hashes(settings, email)
    for email_hash, device_id in _read_device_cookie(request):
        if any(hmac.compare_digest(email_hash, expected) for expected in hashes):
            return device_id
    return ""


def _read_device_cookie(request: Request) -> list[list[str]]:
    """Return a pair of e-mail hash and device id for each account that has signed in with this browser."""
    settings: Settings = request.app.state.settings
    try:
        pairs: Any = signer(settings, DEVICE_PURPOSE).loads(DEVICE_COOKIE.read(request), max_age=DEVICE_SECONDS)
    except BadData:
        return []
    return [pairs] if isinstance(pairs[0], str) else pairs  # earlier releases stored one pair


def _email_hashes(settings: Settings, email: str) -> list[str]:
    """Return a hash of the e-mail for each secret key, newest key first."""
    address = normalize_email(email).encode()
    return [hmac.digest(key.encode(), address, "sha256").hex()[:16] for key in derived_keys(settings, DEVICE_PURPOSE)]
