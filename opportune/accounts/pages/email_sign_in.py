"""Pages of sign-in by e-mail. The user requests an e-mail, and enters its code or opens its link."""

from datetime import datetime

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts import responses
from opportune.accounts.dependencies import AccountCtx, OptionalUser, require_email_sign_in
from opportune.accounts.flows import email_sign_in
from opportune.accounts.flows.email_sign_in import SignInRequest
from opportune.accounts.models import User
from opportune.accounts.schemas import EmailSignIn, EmailSignInCode, EmailSignInLink
from opportune.accounts.sessions.cookies import PageCookie, trusted_device
from opportune.accounts.sign_in_redirects import LOGIN_PATH
from opportune.accounts.users.context import AccountContext
from opportune.db.sessions.dependencies import ReadSession
from opportune.i18n import gettext_lazy as _l
from opportune.web.forms.forms import Form, read_form
from opportune.web.redirects import with_next
from opportune.web.rendering.flash import flash
from opportune.web.routing.api_router import APIRouter

PATH = f"{LOGIN_PATH}/email"
PASSWORD_REMOVED = _l(
    "Your address is verified now. Another person may have registered it before, so your old password"
    " was removed, and all devices were signed out. Please choose a new password."
)
COOKIE = PageCookie("email_sign_in", LOGIN_PATH, email_sign_in.LIFETIME_SECONDS)
"""The encrypted sign-in request of this browser. Its code is valid only in this browser."""


router = APIRouter(prefix=PATH, dependencies=[Depends(require_email_sign_in)])


@router.get("")
async def show_request_form(request: Request, user: OptionalUser) -> Response:
    if user:
        return responses.redirect_to_next(request)
    return responses.show_form(request, "email_sign_in", Form(EmailSignIn))


@router.post("")
async def send_email(request: Request, context: AccountCtx) -> Response:
    """Send an e-mail if the address has an account."""
    form = await read_form(request, EmailSignIn)
    if data := form.data:
        async with responses.show_errors_in(form, context.session):
            next_path = responses.next_page(request, form)
            requested = await email_sign_in.request_sign_in(context, data.email, next_path, remember=data.remember)
            response = RedirectResponse(f"{PATH}/code", 303)
            COOKIE.set(request, response, email_sign_in.seal_request(context.settings, requested))
            return response
    return responses.show_form(request, "email_sign_in", form)


@router.get("/code")
async def show_code_form(request: Request) -> Response:
    sign_in_request = _read_sign_in_request(request)
    if sign_in_request is None:
        return RedirectResponse(PATH, 303)
    return _show_code(request, sign_in_request, Form(EmailSignInCode))


@router.post("/code")
async def check_code(request: Request, context: AccountCtx) -> Response:
    sign_in_request = _read_sign_in_request(request)
    if sign_in_request is None:
        return RedirectResponse(PATH, 303)
    form = await read_form(request, EmailSignInCode)
    try:
        user = await _find_user_of_code(request, context, sign_in_request, form)
    except email_sign_in.TooManyWrongCodes as refusal:
        response = responses.redirect_with_error(request, with_next(PATH, sign_in_request.next), refusal)
        COOKIE.delete(request, response)
        return response
    if user is None:
        return _show_code(request, sign_in_request, form)
    return await _finish_sign_in(request, context, user, sign_in_request)


async def _find_user_of_code(
    request: Request, context: AccountContext, sign_in_request: SignInRequest, form: Form[EmailSignInCode]
) -> User | None:
    """Return the user of the code in the form. If it is wrong, add an error to the form and return None."""
    if form.data is None:
        return None
    user: User | None = None
    async with responses.show_errors_in(form, context.session):
        device = trusted_device(request, sign_in_request.email)
        user = await email_sign_in.check_code(context, sign_in_request, form.data.code, device)
        if user is None:
            form.refuse(email_sign_in.WRONG_CODE, "code")
    return user


@router.get("/link")
async def show_link(request: Request, session: ReadSession, token: str = "") -> Response:
    """Show a page with a button. The link itself changes nothing, because mail programs open links in advance."""
    link = await email_sign_in.read_link(session, request.app.state.settings, token)
    if link is None:
        return responses.show_invalid_link(request, PATH)
    user, details = link
    pending = _read_sign_in_request(request)
    if pending and pending.number != details["number"]:
        pending = None  # another browser requested the link
    context = {
        "form": Form(EmailSignInLink, {"token": token, "remember": pending is not None and pending.remember}),
        "is_same_browser": pending is not None,
        "email": user.email,
        "details": details,
        "at": datetime.fromisoformat(details["at"]),
    }
    return responses.show(request, "email_sign_in_link", headers=responses.PRIVATE_HEADERS, **context)


@router.post("/link")
async def use_link(request: Request, context: AccountCtx) -> Response:
    form = await read_form(request, EmailSignInLink)
    link = await email_sign_in.read_link(context.session, context.settings, form.data.token) if form.data else None
    if form.data is None or link is None:
        context.log_refused_sign_in("email", None)
        return responses.show_invalid_link(request, PATH)
    user, details = link
    sign_in_request = SignInRequest(details["number"], user.email, details["next"], form.data.remember)
    return await _finish_sign_in(request, context, user, sign_in_request)


async def _finish_sign_in(
    request: Request, context: AccountContext, user: User, sign_in_request: SignInRequest
) -> Response:
    """Sign in the user who received this e-mail, or ask for their second factor."""
    # `use_email` verifies the address, which removes the password: see `UserManager.prove_email`.
    password_will_be_removed = user.has_password and not user.is_verified
    if await email_sign_in.use_email(context, user, sign_in_request.number):
        if password_will_be_removed:
            flash(request, PASSWORD_REMOVED, "warning")
        response = await responses.finish_first_step(
            request, context, user, sign_in_request.next, remember=sign_in_request.remember
        )
    else:
        response = responses.show_invalid_link(request, PATH)
    COOKIE.delete(request, response)
    return response


def _read_sign_in_request(request: Request) -> SignInRequest | None:
    """Return the pending request of this browser. None if there is none, or it has expired."""
    return email_sign_in.read_request(request.app.state.settings, COOKIE.read(request))


def _show_code(request: Request, sign_in_request: SignInRequest, form: Form[EmailSignInCode]) -> Response:
    return responses.show(request, "email_sign_in_code", form=form, pending=sign_in_request)
