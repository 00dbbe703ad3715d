"""State between the first step of a sign-in and the second factor, in a signed cookie."""

from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.dependencies import LOGIN_PATH
from opportune.accounts.emails import signed_links
from opportune.accounts.models import User
from opportune.accounts.sessions.page_cookies import page_cookie_name, set_page_cookie
from opportune.config.settings import Settings

COOKIE = "pending"
CODE_PATH = f"{LOGIN_PATH}/code"


def redirect_to_code(request: Request, user: User, next_path: str, *, remember: bool) -> Response:
    """Redirect to the second step."""
    response = RedirectResponse(CODE_PATH, 303)
    seconds = int(signed_links.LIFETIMES["code"].total_seconds())
    token = signed_links.make_link_token(request.app.state.settings, "code", user, next=next_path, remember=remember)
    set_page_cookie(request, response, COOKIE, token, seconds=seconds, path=LOGIN_PATH)
    return response


async def pending_sign_in(request: Request, session: AsyncSession) -> tuple[User, dict[str, Any]] | None:
    """Return the user of the second step, with `next` and `remember`; None without a valid cookie."""
    settings: Settings = request.app.state.settings
    token = request.cookies.get(page_cookie_name(settings, COOKIE), "")
    return await signed_links.read_link_token(session, settings, "code", token)


def forget_pending(request: Request, response: Response) -> None:
    set_page_cookie(request, response, COOKIE, "", seconds=0, path=LOGIN_PATH)
