"""Browsers in which somebody has signed in before.

They are known by a cookie, and what is tried in them is counted on its own: who tries another's password from
elsewhere cannot keep the owner out.
"""

import hmac
import secrets
from typing import Any

from itsdangerous import BadData
from starlette.requests import Request
from starlette.responses import Response

from opportune.accounts.models import User
from opportune.accounts.sessions.page_cookies import page_cookie_name, set_page_cookie
from opportune.config.settings import Settings
from opportune.config.signing import derived_keys, signer

COOKIE = "browser"
PURPOSE = "accounts: browser"
LIFETIME_SECONDS = 180 * 24 * 60 * 60
COOKIE_PATH = "/accounts"
"""All ways in ask for it; other pages, which may be kept by caches, come without."""
MAX_ACCOUNTS = 5
"""Of one browser; it knows those who have signed in last."""


def trust_device(request: Request, response: Response, user: User) -> None:
    """Know this browser again when this user signs in."""
    settings: Settings = request.app.state.settings
    number = trusted_device(request, user.email) or secrets.token_hex(8)
    marks = _marks(settings, user.email)
    others = [pair for pair in _read(request) if pair[0] not in marks]
    value = signer(settings, PURPOSE).dumps([[marks[0], number], *others][:MAX_ACCOUNTS])
    set_page_cookie(request, response, COOKIE, value, seconds=LIFETIME_SECONDS, path=COOKIE_PATH)


def trusted_device(request: Request, email: str) -> str:
    """The number of this browser, if the user with this e-mail has signed in with it before; else nothing."""
    settings: Settings = request.app.state.settings
    marks = _marks(settings, email.strip().lower())
    known = (number for mark, number in _read(request) if any(hmac.compare_digest(mark, own) for own in marks))
    return next(known, "")


def _read(request: Request) -> list[list[str]]:
    """The mark and the number of each account that has signed in here."""
    settings: Settings = request.app.state.settings
    value = request.cookies.get(page_cookie_name(settings, COOKIE), "")
    try:
        pairs: Any = signer(settings, PURPOSE).loads(value, max_age=LIFETIME_SECONDS)
    except BadData:
        return []
    return [pairs] if isinstance(pairs[0], str) else pairs  # as one account had it in releases before


def _marks(settings: Settings, email: str) -> list[str]:
    """Name an account without its address: a browser may be anybody's to look into. One for each secret key."""
    keys = derived_keys(settings, PURPOSE)
    return [hmac.digest(key.encode(), email.encode(), "sha256").hex()[:16] for key in keys]
