"""Register, and prove an address."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.accounts import by_mail
from app.accounts.current import LOGIN, OptionalUser
from app.accounts.dependencies import Manager
from app.accounts.manager import InvalidPasswordException, UserAlreadyExists
from app.accounts.pages.answers import TELLS_NOBODY, broken, refuse, sent, show, signed_in, to_next
from app.accounts.schemas import Address, MailedToken, Registration
from app.core.web.forms import Form, read_form
from app.core.web.throttle import TooMany

router = APIRouter()

PERHAPS_TAKEN = "There is no new account with this address. If it is yours and you have one already, sign in."


@router.get("/register")
async def registration(request: Request, user: OptionalUser) -> Response:
    return to_next(request) if user else show(request, "register", Form(Registration))


@router.post("/register")
async def register(request: Request, manager: Manager) -> Response:
    form = await read_form(request, Registration)
    headers = None
    if form.data:
        try:
            user = await by_mail.register(request, manager, form.data.email, form.data.password)
        except TooMany as refusal:
            headers = refuse(form, refusal)
        except UserAlreadyExists:
            form.refuse(PERHAPS_TAKEN, "email")
        except InvalidPasswordException as error:
            form.refuse(error.reason, "password")
        else:
            return await signed_in(request, manager, user, to_next(request, form)) if user else sent(request)
    return show(request, "register", form, headers)


@router.get("/verify")
async def show_link(request: Request, manager: Manager, token: str = "") -> Response:
    """Mail programs open links by themselves, so the link alone changes nothing: its page has a button."""
    if not token:
        return show(request, "verify_again", Form(Address))
    if not await by_mail.is_verification(manager, request.app.state.settings, token):
        return broken(request, "/accounts/verify")
    return show(request, "verify", Form(MailedToken, {"token": token}), TELLS_NOBODY)


@router.post("/verify")
async def verify(request: Request, manager: Manager) -> Response:
    form = await read_form(request, MailedToken)
    if form.data and await by_mail.verify(manager, request.app.state.settings, form.data.token):
        return RedirectResponse(f"{LOGIN}?done=verified", 303)
    return broken(request, "/accounts/verify")


@router.post("/verify/again")
async def ask_again(request: Request, manager: Manager) -> Response:
    form = await read_form(request, Address)
    headers = None
    if form.data:
        try:
            await by_mail.ask_verification(request, manager, form.data.email)
        except TooMany as refusal:
            headers = refuse(form, refusal)
        else:
            return sent(request)
    return show(request, "verify_again", form, headers)
