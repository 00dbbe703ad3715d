"""Back in without the password."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts.dependencies import LOGIN_PATH, AccountCtx
from opportune.accounts.emails import signed_links
from opportune.accounts.password_reset import service
from opportune.accounts.responses import PRIVATE_HEADERS, answer_request_for_email, invalid_link, show_form
from opportune.accounts.schemas import EmailRequest, PasswordReset
from opportune.accounts.users.errors import InvalidPasswordError
from opportune.db.sessions.dependencies import ReadSession
from opportune.web.forms.forms import Form, read_form
from opportune.web.rendering.flash import flash

ASK_AGAIN_PATH = "/accounts/forgot-password"

router = APIRouter(prefix="/accounts")


@router.get("/forgot-password")
async def forgot_password(request: Request) -> Response:
    return show_form(request, "forgot_password", Form(EmailRequest))


@router.post("/forgot-password")
async def request_password_reset(request: Request, context: AccountCtx) -> Response:
    return await answer_request_for_email(request, context, service.request_password_reset, "forgot_password")


@router.get("/reset-password")
async def show_link(request: Request, session: ReadSession, token: str = "") -> Response:
    if await signed_links.read_link_token(session, request.app.state.settings, "reset", token) is None:
        return invalid_link(request, ASK_AGAIN_PATH)
    return show_form(request, "reset_password", Form(PasswordReset, {"token": token}), PRIVATE_HEADERS)


@router.post("/reset-password")
async def reset_password(request: Request, context: AccountCtx) -> Response:
    form = await read_form(request, PasswordReset)
    if form.data:
        try:
            user = await service.reset_password(context, form.data.token, form.data.password)
        except InvalidPasswordError as error:
            form.refuse(str(error), "password")
        else:
            if not user:
                return invalid_link(request, ASK_AGAIN_PATH)
            flash(request, "You have a new password. Sign in with it.")
            return RedirectResponse(LOGIN_PATH, 303)
    return show_form(request, "reset_password", form, PRIVATE_HEADERS)
