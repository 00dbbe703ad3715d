"""Passkey ceremonies of the browser that sends a request."""

import re
import secrets
from dataclasses import replace

from fastapi import Request, Response

from opportune.accounts.models import Session, User
from opportune.accounts.sessions.cookies import COOKIE_PATH, PageCookie
from opportune.accounts.sign_in_methods.passkeys import PasskeyCeremonies
from opportune.accounts.sign_in_methods.webauthn import LIFETIME_SECONDS, PasskeyRefused, find_relying_party
from opportune.accounts.users.context import AccountContext
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.web.cookies import add_cookies

PATH = "/accounts/passkeys"
COOKIE = PageCookie("passkey", COOKIE_PATH, LIFETIME_SECONDS)
COOKIE_VALUE = re.compile(r"[\w-]{22}", re.ASCII)
"""Value of the cookie. It can never be the id of a session, which contains a space."""
NO_DOMAIN_NAME = _l("Passkeys need a domain name. On this computer, open the site at %(address)s instead.")


def get_passkey_ceremonies(request: Request, context: AccountContext, user: User | None = None) -> PasskeyCeremonies:
    """Return the passkey ceremonies of this browser, for `user` or for any user.

    Raises:
        PasskeyRefused: The URL of the site is not a domain name.
    """
    try:
        site = find_relying_party(context.settings, f"{request.url.scheme}://{request.url.netloc}")
        port = f":{request.url.port}" if request.url.port else ""
    except ValueError:  # the Host header is invalid
        site = None
        port = ""
    if site is None:
        raise PasskeyRefused(gettext(NO_DOMAIN_NAME, address=f"{request.url.scheme}://localhost{port}{PATH}"))
    value = COOKIE.read(request)
    browser_id = _session_id(request) or (value if COOKIE_VALUE.fullmatch(value) else "")
    return PasskeyCeremonies(context, site, browser_id, user)


def start_ceremonies(request: Request, context: AccountContext, user: User | None) -> PasskeyCeremonies:
    """Return the ceremonies of a browser that may have no session. A cookie then identifies it in the next request.

    Raises:
        PasskeyRefused: As `get_passkey_ceremonies`.
    """
    ceremonies = get_passkey_ceremonies(request, context, user)
    if _session_id(request):
        return ceremonies
    browser_id = ceremonies.browser_id or secrets.token_urlsafe(16)
    cookie_response = Response()
    COOKIE.set(request, cookie_response, browser_id)
    add_cookies(request, cookie_response)
    return replace(ceremonies, browser_id=browser_id)


def _session_id(request: Request) -> str | None:
    session: Session | None = getattr(request.state, "session", None)
    return f"session {session.id}" if session else None
