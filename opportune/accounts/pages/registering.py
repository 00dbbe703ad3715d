"""Register, and prove an address."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts import by_mail
from opportune.accounts.current import LOGIN, OptionalUser
from opportune.accounts.dependencies import Manager
from opportune.accounts.manager import PasswordError, TakenError
from opportune.accounts.pages.answers import TELLS_NOBODY, broken, refuse, send, sent, show, signed_in, to_next
from opportune.accounts.schemas import Address, Proof, Registration
from opportune.db.sessions.dependencies import ReadSession
from opportune.web.forms.forms import Form, read_form
from opportune.web.rate_limit import TooMany
from opportune.web.rendering.flash import flash

router = APIRouter(prefix="/accounts")

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
        except TakenError:
            form.refuse(PERHAPS_TAKEN, "email")
        except PasswordError as error:
            form.refuse(str(error), "password")
        else:
            if not user:
                return sent(request)
            flash(request, "Welcome! You have an account now, and are signed in.")
            return await signed_in(request, manager, user, to_next(request, form))
    return show(request, "register", form, headers)


@router.get("/verify")
async def show_link(request: Request, session: ReadSession, token: str = "") -> Response:
    """Mail programs open links by themselves, so the link alone changes nothing: its page has a button."""
    if not token:
        return show(request, "verify_again", Form(Address))
    if not await by_mail.can_verify(session, request.app.state.settings, token):
        return broken(request, "/accounts/verify")
    return show(request, "verify", Form(Proof, {"token": token}), TELLS_NOBODY)


@router.post("/verify")
async def verify(request: Request, manager: Manager) -> Response:
    form = await read_form(request, Proof)
    if form.data:
        try:
            user = await by_mail.verify(request, manager, form.data)
        except TooMany as refusal:
            return show(request, "verify", form, {**TELLS_NOBODY, **(refuse(form, refusal) or {})})
        except PasswordError as error:
            form.refuse(str(error), "password")
            return show(request, "verify", form, TELLS_NOBODY)
        if user:
            flash(request, "Thank you, your address is verified. You can sign in now.")
            return RedirectResponse(LOGIN, 303)
    return broken(request, "/accounts/verify")


@router.post("/verify/again")
async def ask_again(request: Request, manager: Manager) -> Response:
    return await send(request, manager, by_mail.ask_verification, "verify_again")
