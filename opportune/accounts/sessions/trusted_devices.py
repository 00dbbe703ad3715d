"""Browsers in which a user has signed in before, recognised by a cookie.

Their attempts are counted separately, so that an attacker elsewhere cannot lock the user out.
"""

import hmac
import secrets
from typing import Any

from itsdangerous import BadData
from starlette.requests import Request
from starlette.responses import Response

from opportune.accounts.models import User
from opportune.accounts.sessions.page_cookies import PageCookie
from opportune.config.settings import Settings
from opportune.config.signing import derived_keys, signer

PURPOSE = "accounts: browser"
LIFETIME_SECONDS = 180 * 24 * 60 * 60
COOKIE_PATH = "/accounts"
"""All sign-in pages need the cookie; other pages, which caches may store, come without it."""
COOKIE = PageCookie("browser", COOKIE_PATH, LIFETIME_SECONDS)
MAX_ACCOUNTS = 5
"""Maximum number of accounts of a browser; the last ones to sign in are kept."""


def trust_device(request: Request, response: Response, user: User) -> None:
    """Recognise this browser when the user signs in again."""
    settings: Settings = request.app.state.settings
    number = trusted_device(request, user.email) or secrets.token_hex(8)
    marks = _marks(settings, user.email)
    others = [pair for pair in _read(request) if pair[0] not in marks]
    value = signer(settings, PURPOSE).dumps([[marks[0], number], *others][:MAX_ACCOUNTS])
    COOKIE.set(request, response, value)


def trusted_device(request: Request, email: str) -> str:
    """Return the id of this browser if the user with this e-mail has signed in with it before; else an empty string."""
    settings: Settings = request.app.state.settings
    marks = _marks(settings, email.strip().lower())
    numbers = (
        number
        for mark, number in _read(request)
        if any(hmac.compare_digest(mark, account_mark) for account_mark in marks)
    )
    return next(numbers, "")


def _read(request: Request) -> list[list[str]]:
    """Return mark and id for each account that has signed in here."""
    settings: Settings = request.app.state.settings
    try:
        pairs: Any = signer(settings, PURPOSE).loads(COOKIE.read(request), max_age=LIFETIME_SECONDS)
    except BadData:
        return []
    return [pairs] if isinstance(pairs[0], str) else pairs  # format of earlier releases, for one account


def _marks(settings: Settings, email: str) -> list[str]:
    """Return marks that identify an account without showing its address, one for each secret key."""
    keys = derived_keys(settings, PURPOSE)
    return [hmac.digest(key.encode(), email.encode(), "sha256").hex()[:16] for key in keys]
