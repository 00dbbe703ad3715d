"""Pages of the password reset."""

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts.dependencies import AccountCtx
from opportune.accounts.emails import signed_links
from opportune.accounts.password_reset import service
from opportune.accounts.responses import PRIVATE_HEADERS, request_email, show_form, show_invalid_link, use_link
from opportune.accounts.schemas import EmailRequest, PasswordReset
from opportune.accounts.sign_in_redirects import LOGIN_PATH
from opportune.db.sessions.dependencies import ReadSession
from opportune.web.forms.forms import Form, read_form
from opportune.web.rendering.flash import flash
from opportune.web.routing.api_router import APIRouter

REQUEST_PATH = "/accounts/forgot-password"

router = APIRouter(prefix="/accounts")


@router.get("/forgot-password")
async def forgot_password(request: Request) -> Response:
    return show_form(request, "forgot_password", Form(EmailRequest))


@router.post("/forgot-password")
async def request_password_reset(request: Request, context: AccountCtx) -> Response:
    return await request_email(request, context, service.request_password_reset, "forgot_password")


@router.get("/reset-password")
async def show_link(request: Request, session: ReadSession, token: str = "") -> Response:
    if await signed_links.read_link_token(session, request.app.state.settings, "reset", token) is None:
        return show_invalid_link(request, REQUEST_PATH)
    return show_form(request, "reset_password", Form(PasswordReset, {"token": token}), PRIVATE_HEADERS)


@router.post("/reset-password")
async def reset_password(request: Request, context: AccountCtx) -> Response:
    form = await read_form(request, PasswordReset)
    if not form.data:
        return show_form(request, "reset_password", form, PRIVATE_HEADERS)
    change = service.reset_password(context, form.data.token, form.data.password)
    user = await use_link(request, form, change, template="reset_password", request_path=REQUEST_PATH)
    if isinstance(user, Response):
        return user
    flash(request, "You have a new password. Sign in with it.")
    return RedirectResponse(LOGIN_PATH, 303)
