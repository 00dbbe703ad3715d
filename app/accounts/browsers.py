"""Browsers in which somebody has signed in before.

They are known by a cookie, and what is tried in them is counted on its own: who tries another's password from
elsewhere cannot keep the owner out.
"""

import hmac
import secrets

from itsdangerous import BadData
from starlette.requests import Request
from starlette.responses import Response

from app.accounts.models import User
from app.core.keys import derived_key, signer
from app.core.settings import Settings

PURPOSE = "accounts: browser"
LIFETIME = 180 * 24 * 60 * 60
PATH = "/accounts/login"
"""All that asks for it; other pages, which may be kept by caches, come without."""


def cookie_name(settings: Settings) -> str:
    return "__Secure-browser" if settings.is_production else "browser"


def remember(request: Request, response: Response, user: User) -> None:
    """Know this browser again when this user signs in."""
    settings: Settings = request.app.state.settings
    number = known(request, user.email) or secrets.token_hex(8)
    value = signer(settings, PURPOSE).dumps([_mark(settings, user.email), number])
    response.set_cookie(
        cookie_name(settings),
        value,
        max_age=LIFETIME,
        path=PATH,
        secure=settings.is_production,
        httponly=True,
        samesite="lax",
    )


def known(request: Request, email: str) -> str:
    """The number of this browser, if the user with this e-mail has signed in with it before; else nothing."""
    settings: Settings = request.app.state.settings
    try:
        value = request.cookies.get(cookie_name(settings), "")
        mark, number = signer(settings, PURPOSE).loads(value, max_age=LIFETIME)
    except BadData:
        return ""
    return str(number) if hmac.compare_digest(mark, _mark(settings, email)) else ""


def _mark(settings: Settings, email: str) -> str:
    """Names an account without its address: a browser may be anybody's to look into."""
    return hmac.digest(derived_key(settings, PURPOSE).encode(), email.encode(), "sha256").hex()[:16]
