"""Register, and prove an address."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts import email_flows
from opportune.accounts.current import LOGIN_PATH, OptionalUser
from opportune.accounts.dependencies import UserManagerDependency
from opportune.accounts.manager import EmailTakenError, InvalidPasswordError
from opportune.accounts.pages.answers import PRIVATE_HEADERS, invalid_link, refuse, send, sent, show, signed_in, to_next
from opportune.accounts.schemas import EmailRequest, EmailVerification, UserCreate
from opportune.db.sessions.dependencies import ReadSession
from opportune.web.forms.forms import Form, read_form
from opportune.web.rate_limit import TooManyRequests
from opportune.web.rendering.flash import flash

router = APIRouter(prefix="/accounts")

PERHAPS_TAKEN = "There is no new account with this address. If it is yours and you have one already, sign in."


@router.get("/register")
async def registration(request: Request, user: OptionalUser) -> Response:
    return to_next(request) if user else show(request, "register", Form(UserCreate))


@router.post("/register")
async def register(request: Request, manager: UserManagerDependency) -> Response:
    form = await read_form(request, UserCreate)
    headers = None
    if form.data:
        try:
            user = await email_flows.register(request, manager, form.data.email, form.data.password)
        except TooManyRequests as refusal:
            headers = refuse(form, refusal)
        except EmailTakenError:
            form.refuse(PERHAPS_TAKEN, "email")
        except InvalidPasswordError as error:
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
        return show(request, "verify_again", Form(EmailRequest))
    if not await email_flows.can_verify(session, request.app.state.settings, token):
        return invalid_link(request, "/accounts/verify")
    return show(request, "verify", Form(EmailVerification, {"token": token}), PRIVATE_HEADERS)


@router.post("/verify")
async def verify(request: Request, manager: UserManagerDependency) -> Response:
    form = await read_form(request, EmailVerification)
    if form.data:
        try:
            user = await email_flows.verify_email(request, manager, form.data)
        except TooManyRequests as refusal:
            return show(request, "verify", form, {**PRIVATE_HEADERS, **(refuse(form, refusal) or {})})
        except InvalidPasswordError as error:
            form.refuse(str(error), "password")
            return show(request, "verify", form, PRIVATE_HEADERS)
        if user:
            flash(request, "Thank you, your address is verified. You can sign in now.")
            return RedirectResponse(LOGIN_PATH, 303)
    return invalid_link(request, "/accounts/verify")


@router.post("/verify/again")
async def ask_again(request: Request, manager: UserManagerDependency) -> Response:
    return await send(request, manager, email_flows.request_verification, "verify_again")
