"""Back in without the password."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts import email_flows, signed_links
from opportune.accounts.current import LOGIN_PATH
from opportune.accounts.dependencies import UserManagerDependency
from opportune.accounts.manager import InvalidPasswordError
from opportune.accounts.pages.answers import PRIVATE_HEADERS, invalid_link, send, show
from opportune.accounts.schemas import EmailRequest, PasswordReset
from opportune.db.sessions.dependencies import ReadSession
from opportune.web.forms.forms import Form, read_form
from opportune.web.rendering.flash import flash

FORGOT = "/accounts/forgot-password"

router = APIRouter(prefix="/accounts")


@router.get("/forgot-password")
async def forgot(request: Request) -> Response:
    return show(request, "forgot_password", Form(EmailRequest))


@router.post("/forgot-password")
async def ask_reset(request: Request, manager: UserManagerDependency) -> Response:
    return await send(request, manager, email_flows.request_password_reset, "forgot_password")


@router.get("/reset-password")
async def show_link(request: Request, session: ReadSession, token: str = "") -> Response:
    if await signed_links.read_link_token(session, request.app.state.settings, "reset", token) is None:
        return invalid_link(request, FORGOT)
    return show(request, "reset_password", Form(PasswordReset, {"token": token}), PRIVATE_HEADERS)


@router.post("/reset-password")
async def reset(request: Request, manager: UserManagerDependency) -> Response:
    form = await read_form(request, PasswordReset)
    if form.data:
        try:
            user = await email_flows.reset_password(
                manager, request.app.state.settings, form.data.token, form.data.password
            )
        except InvalidPasswordError as error:
            form.refuse(str(error), "password")
        else:
            if not user:
                return invalid_link(request, FORGOT)
            flash(request, "You have a new password. Sign in with it.")
            return RedirectResponse(LOGIN_PATH, 303)
    return show(request, "reset_password", form, PRIVATE_HEADERS)
