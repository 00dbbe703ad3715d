"""Prove an address."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts.dependencies import LOGIN_PATH, AccountCtx, OptionalUser
from opportune.accounts.models import User
from opportune.accounts.responses import PRIVATE_HEADERS, answer_request_for_email, invalid_link, refuse, show_form
from opportune.accounts.schemas import EmailRequest, EmailToken, EmailVerification
from opportune.accounts.users.errors import InvalidPasswordError
from opportune.accounts.verification import service
from opportune.db.sessions.dependencies import ReadSession
from opportune.web.forms.forms import Form, read_form
from opportune.web.rate_limit import TooManyRequests
from opportune.web.rendering.flash import flash

VERIFY_PATH = "/accounts/verify"

router = APIRouter(prefix="/accounts")


@router.get("/verify")
async def show_link(request: Request, user: OptionalUser, session: ReadSession, token: str = "") -> Response:
    """Mail programs open links by themselves, so the link alone changes nothing: its page has a button."""
    if not token:
        return show_form(request, "verify_again", Form(EmailRequest))
    settings = request.app.state.settings
    if not await service.can_verify(session, settings, token):
        return invalid_link(request, VERIFY_PATH)
    is_own = await service.is_link_of(session, settings, token, _account_owner(request, user))
    form: Form[Any] = Form(EmailToken if is_own else EmailVerification, {"token": token})
    return show_form(request, "verify", form, PRIVATE_HEADERS)


@router.post("/verify")
async def verify(request: Request, signed_in: OptionalUser, context: AccountCtx) -> Response:
    form = await read_form(request, EmailVerification)
    owner = _account_owner(request, signed_in)
    if form.data:
        try:
            user = await service.verify_email(context, form.data.token, form.data.password, owner)
        except TooManyRequests as refusal:
            return show_form(request, "verify", form, {**PRIVATE_HEADERS, **(refuse(form, refusal) or {})})
        except InvalidPasswordError as error:
            form.refuse(str(error), "password")
            return show_form(request, "verify", form, PRIVATE_HEADERS)
        if user:
            if owner and owner.id == user.id:
                flash(request, f"Thank you, {user.email} is verified.")
                return RedirectResponse("/", 303)
            flash(request, "Thank you, your address is verified. You can sign in now.")
            return RedirectResponse(LOGIN_PATH, 303)
    return invalid_link(request, VERIFY_PATH)


def _account_owner(request: Request, user: User | None) -> User | None:
    """The signed-in user; None for a superuser who is signed in as them."""
    return None if request.state.impersonator else user


@router.post("/verify/again")
async def ask_again(request: Request, context: AccountCtx) -> Response:
    return await answer_request_for_email(request, context, service.request_verification, "verify_again")
