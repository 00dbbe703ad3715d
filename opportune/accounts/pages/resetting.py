"""Back in without the password."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts import by_mail, links
from opportune.accounts.current import LOGIN
from opportune.accounts.dependencies import Manager
from opportune.accounts.manager import PasswordError
from opportune.accounts.pages.answers import TELLS_NOBODY, broken, send, show
from opportune.accounts.schemas import Address, PasswordReset
from opportune.db.sessions.dependencies import ReadSession
from opportune.web.forms.forms import Form, read_form
from opportune.web.rendering.flash import flash

FORGOT = "/accounts/forgot-password"

router = APIRouter(prefix="/accounts")


@router.get("/forgot-password")
async def forgot(request: Request) -> Response:
    return show(request, "forgot_password", Form(Address))


@router.post("/forgot-password")
async def ask_reset(request: Request, manager: Manager) -> Response:
    return await send(request, manager, by_mail.ask_reset, "forgot_password")


@router.get("/reset-password")
async def show_link(request: Request, session: ReadSession, token: str = "") -> Response:
    if await links.read(session, request.app.state.settings, "reset", token) is None:
        return broken(request, FORGOT)
    return show(request, "reset_password", Form(PasswordReset, {"token": token}), TELLS_NOBODY)


@router.post("/reset-password")
async def reset(request: Request, manager: Manager) -> Response:
    form = await read_form(request, PasswordReset)
    if form.data:
        try:
            user = await by_mail.reset(manager, request.app.state.settings, form.data.token, form.data.password)
        except PasswordError as error:
            form.refuse(str(error), "password")
        else:
            if not user:
                return broken(request, FORGOT)
            flash(request, "You have a new password. Sign in with it.")
            return RedirectResponse(LOGIN, 303)
    return show(request, "reset_password", form, TELLS_NOBODY)
