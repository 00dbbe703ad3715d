"""Cookies of single pages, and the one of the sign-in pages that knows the users of a browser.

Sign-in attempts of a known browser have their own rate limit, so that an attacker cannot lock the user out. Cookies of
a page are limited to its path, so that requests for cacheable pages carry no cookie.
"""

import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from itsdangerous import BadData

from opportune.accounts.models import User
from opportune.config.email_domains import normalize_email
from opportune.config.settings import Settings
from opportune.config.signing import derived_keys, signer

PURPOSE = "accounts: browser"
LIFETIME_SECONDS = 180 * 24 * 60 * 60
COOKIE_PATH = "/accounts"
"""Only sign-in pages need the cookie. Requests for other pages do not send it, so caches can store these pages."""
MAX_ACCOUNTS = 5
"""Maximum number of accounts in the cookie. The account that signed in longest ago is dropped."""


@dataclass(frozen=True)
class PageCookie:
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
        name, secure = self._browser_name(settings), settings.has_secure_cookies
        response.set_cookie(name, value, max_age, path=self.path, secure=secure, httponly=True, samesite="lax")


COOKIE = PageCookie("browser", COOKIE_PATH, LIFETIME_SECONDS)


def trust_device(request: Request, response: Response, user: User) -> None:
    """Set the cookie that identifies this browser when the user signs in again."""
    settings: Settings = request.app.state.settings
    device_id = trusted_device(request, user.email) or secrets.token_hex(8)
    hashes = _email_hashes(settings, user.email)
    other_accounts = [pair for pair in _read_cookie(request) if pair[0] not in hashes]
    value = signer(settings, PURPOSE).dumps([[hashes[0], device_id], *other_accounts][:MAX_ACCOUNTS])
    COOKIE.set(request, response, value)


def trusted_device(request: Request, email: str) -> str:
    """Return the id of this browser, or an empty string if this e-mail has not signed in with it before."""
    settings: Settings = request.app.state.settings
    hashes = _email_hashes(settings, normalize_email(email))
    device_ids = (
        device_id
        for email_hash, device_id in _read_cookie(request)
        if any(hmac.compare_digest(email_hash, expected) for expected in hashes)
    )
    return next(device_ids, "")


def _read_cookie(request: Request) -> list[list[str]]:
    """Return a pair of e-mail hash and device id for each account that has signed in with this browser."""
    settings: Settings = request.app.state.settings
    try:
        pairs: Any = signer(settings, PURPOSE).loads(COOKIE.read(request), max_age=LIFETIME_SECONDS)
    except BadData:
        return []
    return [pairs] if isinstance(pairs[0], str) else pairs  # earlier releases stored one pair


def _email_hashes(settings: Settings, email: str) -> list[str]:
    """Return a hash of the e-mail for each secret key, newest key first."""
    keys = derived_keys(settings, PURPOSE)
    return [hmac.digest(key.encode(), email.encode(), "sha256").hex()[:16] for key in keys]
