"""Pages of the mailbox of development, with all sent e-mails."""

import asyncio
import hmac
import logging

from fastapi import Depends, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from opportune.config.settings import Settings, site_url
from opportune.config.signing import derived_key
from opportune.i18n import gettext_lazy as _l
from opportune.mail import mailbox
from opportune.web.rendering.templates import templates
from opportune.web.routing.api_router import APIRouter

logger = logging.getLogger("opportune.mail")

COOKIE = "mailbox"
COOKIE_SECONDS = 30 * 24 * 60 * 60
ACCESS_DENIED = _l(
    "Open the mailbox with the link that the site logs when it starts (/mailbox/open?key=…), or sign in as superuser."
)
# Allows inline styles and embedded pictures. Links open in a new tab. Scripts are blocked.
SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox {SANDBOX}"
)


def log_mailbox_link(settings: Settings) -> None:
    logger.info("Mail of development: %s/mailbox/open?key=%s", site_url(settings), _key(settings))


async def require_mailbox_access(request: Request) -> None:
    """Require the key or a superuser, because e-mails contain sign-in links.

    The client's address is not enough, because a proxy may run on this machine.
    """
    user = getattr(request.state, "user", None)
    if not (is_key(request, request.cookies.get(COOKIE, "")) or (user and user.is_superuser)):
        raise HTTPException(403, ACCESS_DENIED)


def is_key(request: Request, key: str) -> bool:
    return hmac.compare_digest(key.encode(errors="replace"), _key(request.app.state.settings).encode())


def _key(settings: Settings) -> str:
    return derived_key(settings, "mail: mailbox")


async def find_message(name: str) -> mailbox.StoredMessage:
    return await asyncio.to_thread(mailbox.find_message, name)


router = APIRouter(prefix="/mailbox")
MAILBOX_ACCESS = [Depends(require_mailbox_access)]


@router.get("/open")
async def open_with_key(request: Request, key: str = "") -> Response:
    """Store the key of the logged link in a cookie, and remove it from the address bar."""
    if not is_key(request, key):
        raise HTTPException(403, ACCESS_DENIED)
    response = RedirectResponse("/mailbox", 303)
    response.set_cookie(COOKIE, key, max_age=COOKIE_SECONDS, path="/mailbox", httponly=True, samesite="lax")
    return response


@router.get("", dependencies=MAILBOX_ACCESS)
async def index(request: Request) -> Response:
    messages = await asyncio.to_thread(mailbox.list_messages)
    context = {"mailbox": messages, "max_messages": mailbox.MAX_STORED_MESSAGES}
    return templates.render(request, "mail/mailbox.html", context)


@router.get("/{name}", dependencies=MAILBOX_ACCESS)
async def show(request: Request, name: str) -> Response:
    context = {"message": await find_message(name), "sandbox": SANDBOX}
    return templates.render(request, "mail/mailbox_message.html", context)


@router.get("/{name}/html", dependencies=MAILBOX_ACCESS)
async def show_html(name: str) -> Response:
    message = await find_message(name)
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "X-Frame-Options": "SAMEORIGIN"}
    return HTMLResponse(message.html, headers=headers)
