"""First and second step of a sign-in. A signed cookie keeps the state between them."""

from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.emails import signed_links
from opportune.accounts.models import User
from opportune.accounts.responses import sign_in_redirect
from opportune.accounts.sessions.page_cookies import PageCookie
from opportune.accounts.sign_in_methods.second_factor import has_second_factor
from opportune.accounts.sign_in_redirects import LOGIN_PATH
from opportune.accounts.users.context import AccountContext

COOKIE = PageCookie("pending", LOGIN_PATH, int(signed_links.LIFETIMES["code"].total_seconds()))
CODE_PATH = f"{LOGIN_PATH}/code"


async def finish_first_step(
    request: Request, context: AccountContext, user: User, next_path: str, *, remember: bool
) -> Response:
    """Sign in the user, or redirect to the second step if the user has a second factor."""
    if not await has_second_factor(context.session, user):
        return await sign_in_redirect(request, context.session, user, next_path, remember=remember)
    response = RedirectResponse(CODE_PATH, 303)
    token = signed_links.make_link_token(context.settings, "code", user, next=next_path, remember=remember)
    COOKIE.set(request, response, token)
    return response


async def read_pending_sign_in(request: Request, session: AsyncSession) -> tuple[User, dict[str, Any]] | None:
    """Return the user of the first step and their choices `next` and `remember`; None without a valid cookie."""
    return await signed_links.read_link_token(session, request.app.state.settings, "code", COOKIE.read(request))


async def finish_second_step(
    request: Request, context: AccountContext, user: User, options: dict[str, Any]
) -> Response:
    """Sign in the user with the choices `next` and `remember` of the first step."""
    response = await sign_in_redirect(request, context.session, user, options["next"], remember=options["remember"])
    COOKIE.delete(request, response)
    return response
