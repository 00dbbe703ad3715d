"""Passkey ceremonies of the browser that sends a request."""

import secrets
from dataclasses import replace

from fastapi import Request, Response

from opportune.accounts.models import Session, User
from opportune.accounts.sessions.page_cookies import PageCookie
from opportune.accounts.sessions.trusted_devices import COOKIE_PATH
from opportune.accounts.sign_in_methods.passkeys import PasskeyCeremonies
from opportune.accounts.sign_in_methods.webauthn import LIFETIME_SECONDS, PasskeyRefused, relying_party
from opportune.accounts.users.context import AccountContext
from opportune.web.middleware.response_cookies import add_cookies

PATH = "/accounts/passkeys"
COOKIE = PageCookie("passkey", COOKIE_PATH, LIFETIME_SECONDS)
MAX_COOKIE_CHARS = 64
NO_NAME = "Passkeys need a domain name, and this address has none. On this machine open the site at {localhost}."


def passkey_ceremonies(request: Request, context: AccountContext, user: User | None = None) -> PasskeyCeremonies:
    """Return the ceremonies of this browser, for one user or for any.

    Raises:
        PasskeyRefused: the address of the site is not a domain name.
    """
    try:
        site = relying_party(context.settings, f"{request.url.scheme}://{request.url.netloc}")
        port = f":{request.url.port}" if request.url.port else ""
    except ValueError:  # the Host header is invalid
        site, port = None, ""
    if site is None:
        raise PasskeyRefused(NO_NAME.format(localhost=f"{request.url.scheme}://localhost{port}{PATH}"))
    return PasskeyCeremonies(context, site, _browser_of(request), user)


def anonymous_ceremonies(request: Request, context: AccountContext, user: User | None = None) -> PasskeyCeremonies:
    """Return the ceremonies of a browser without a session; a cookie identifies it when its response arrives.

    Raises:
        PasskeyRefused: as `passkey_ceremonies`.
    """
    ceremonies = passkey_ceremonies(request, context, user)
    number = ceremonies.browser if 0 < len(ceremonies.browser) <= MAX_COOKIE_CHARS else secrets.token_urlsafe(16)
    carrier = Response()
    COOKIE.set(request, carrier, number)
    add_cookies(request, carrier)
    return replace(ceremonies, browser=number)


def _browser_of(request: Request) -> str:
    here: Session | None = getattr(request.state, "session", None)
    return f"session {here.id}" if here else COOKIE.read(request)
