"""Back in without the password."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.accounts import by_mail, links
from app.accounts.current import LOGIN
from app.accounts.dependencies import Manager
from app.accounts.manager import PasswordError
from app.accounts.pages.answers import TELLS_NOBODY, broken, send, show
from app.accounts.schemas import Address, PasswordReset
from app.core.db.session import ReadSession
from app.core.web.flash import flash
from app.core.web.forms import Form, read_form

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
