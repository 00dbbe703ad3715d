"""End of an impersonation. It starts in the admin, on the page of the user."""

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts.dependencies import AccountCtx, OptionalUser
from opportune.accounts.impersonation.service import end_impersonation
from opportune.accounts.sessions.cookies import set_session_cookie, sign_out
from opportune.accounts.sign_in_redirects import LOGIN_PATH
from opportune.i18n import gettext
from opportune.web.rendering.flash import flash
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/accounts/impersonation")


@router.post("/end")
async def end(request: Request, user: OptionalUser, context: AccountCtx) -> Response:
    if user is None or request.state.impersonator is None:  # the session has expired
        return RedirectResponse(LOGIN_PATH, 303)
    superuser_session = await end_impersonation(context, user, request.state.session)
    if superuser_session is None:
        response = RedirectResponse(LOGIN_PATH, 303)
        await sign_out(context.session, request, response)
        return response
    flash(request, gettext("You are back in your own account, and no longer signed in as %(email)s.", email=user.email))
    response = RedirectResponse(f"/admin/user/details/{user.id}", 303)
    set_session_cookie(request, response, *superuser_session)
    return response
