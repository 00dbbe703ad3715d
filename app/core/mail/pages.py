"""The mailbox of development: every letter that was sent, as its reader would see it."""

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from app.core.web.templating import templates

if TYPE_CHECKING:
    from app.core.mail.mailbox import Kept

ONLY_HERE = ("127.0.0.1", "::1", "localhost")
# What proxies and tunnels add, which bring strangers in from an address of this machine.
FROM_AFAR = ("forwarded", "x-forwarded-for")
# Styles of its own and pictures that it brings along. Links open beside it; nothing in it may run.
ALLOWED = "allow-popups allow-popups-to-escape-sandbox"
POLICY = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox {ALLOWED}"


async def refuse_strangers(request: Request) -> None:
    """Letters hold links that sign people in: they are for this machine, and for superusers from elsewhere."""
    user = getattr(request.state, "user", None)
    if not (_is_here(request) or (user and user.is_superuser)):
        raise HTTPException(403, "The mailbox opens on the machine that runs the site, and for superusers.")


def _is_here(request: Request) -> bool:
    """Whether a browser of this machine asks, for a page of this site: any name can be made to lead here."""
    if request.url.hostname not in ONLY_HERE or any(name in request.headers for name in FROM_AFAR):
        return False
    try:
        return ip_address(request.client.host if request.client else "").is_loopback
    except ValueError:
        return False


async def find(name: str) -> "Kept":
    from app.core.mail import mailbox  # noqa: PLC0415 - knows mail, which takes a while to load

    return await asyncio.to_thread(mailbox.find, name)


router = APIRouter(prefix="/mailbox", dependencies=[Depends(refuse_strangers)])


@router.get("")
async def index(request: Request) -> Response:
    from app.core.mail import mailbox  # noqa: PLC0415 - as above

    context = {"letters": await asyncio.to_thread(mailbox.letters), "most": mailbox.MOST}
    return templates.page(request, "mail/mailbox.html", context)


@router.get("/{name}")
async def show(request: Request, name: str) -> Response:
    return templates.page(request, "mail/mailbox_letter.html", {"letter": await find(name), "allowed": ALLOWED})


@router.get("/{name}/html")
async def show_html(name: str) -> Response:
    letter = await find(name)
    headers = {"Content-Security-Policy": POLICY, "X-Frame-Options": "SAMEORIGIN"}
    return HTMLResponse(letter.body("html"), headers=headers)
