"""Pages of registration, and of the links in e-mails, which verify an address or reset a password."""

from typing import Any

from fastapi import Request, Response

from opportune.accounts import responses, signed_links
from opportune.accounts.dependencies import AccountCtx, OptionalUser
from opportune.accounts.emails import email_is_enabled
from opportune.accounts.flows import registration
from opportune.accounts.models import User
from opportune.accounts.schemas import EmailRequest, EmailToken, EmailVerification, PasswordReset, UserCreate
from opportune.accounts.sign_in_redirects import LOGIN_PATH
from opportune.accounts.users.errors import EmailTakenError, InvalidLinkError, RegistrationClosedError
from opportune.config.settings import Settings
from opportune.db.sessions.dependencies import ReadSession
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.web.forms.forms import Form, read_form
from opportune.web.rendering.flash import flash
from opportune.web.routing.api_router import APIRouter

VERIFY_PATH = "/accounts/verify"
FORGOT_PASSWORD_PATH = "/accounts/forgot-password"
NOT_CREATED = _l("No account was created with this address. If you already have an account, sign in.")

router = APIRouter(prefix="/accounts")


@router.get("/register")
async def show_registration(request: Request, user: OptionalUser) -> Response:
    if user:
        return responses.redirect_to_next(request)
    if request.app.state.settings.registration == "closed":
        return responses.show(request, "registration_closed", 403)
    return responses.show_form(request, "register", Form(UserCreate))


@router.post("/register")
async def register(request: Request, context: AccountCtx) -> Response:
    if context.settings.registration == "closed":
        return responses.show(request, "registration_closed", 403)
    form = await read_form(request, UserCreate)
    if not form.data:
        await responses.show_password_error(request, context, form, "password")
        return responses.show_form(request, "register", form)
    try:
        async with responses.show_errors_in(form, context.session):
            user = await registration.register(context, form.data.email, form.data.password)
            if not user:
                return responses.show_email_sent(request)
            flash(request, _welcome(context.settings, user.email))
            return await responses.sign_in_redirect(request, context.session, user, responses.next_page(request, form))
    except RegistrationClosedError as refusal:
        form.refuse(str(refusal), "email", 403)
    except EmailTakenError:
        form.refuse(NOT_CREATED, "email")
    return responses.show_form(request, "register", form)


def _welcome(settings: Settings, email: str) -> str:
    welcome = gettext("Welcome! You have an account now, and are signed in.")
    if not email_is_enabled(settings):
        return welcome
    sent = gettext("An e-mail was sent to %(email)s: open its link to verify the address.", email=email)
    return f"{welcome} {sent}"


@router.get("/verify")
async def show_verification(request: Request, user: OptionalUser, session: ReadSession, token: str = "") -> Response:
    """Show a page with a button. The link itself changes nothing, because mail programs open links in advance."""
    if not token:
        return responses.show_form(request, "verify_again", Form(EmailRequest))
    settings = request.app.state.settings
    if not await registration.can_verify(session, settings, token):
        return responses.show_invalid_link(request, VERIFY_PATH)
    is_own_link = await registration.is_link_for(session, settings, token, _account_owner(request, user))
    form: Form[Any] = Form(EmailToken if is_own_link else EmailVerification, {"token": token})
    return responses.show_form(request, "verify", form, responses.PRIVATE_HEADERS)


@router.post("/verify")
async def verify(request: Request, signed_in_user: OptionalUser, context: AccountCtx) -> Response:
    form = await read_form(request, EmailVerification)
    if not form.data:
        return responses.show_invalid_link(request, VERIFY_PATH)
    owner = _account_owner(request, signed_in_user)
    user: User | None = None
    try:
        async with responses.show_errors_in(form, context.session):
            user = await registration.verify_email(context, form.data.token, form.data.password, owner)
    except InvalidLinkError:
        return responses.show_invalid_link(request, VERIFY_PATH)
    if not user:
        return responses.show_form(request, "verify", form, responses.PRIVATE_HEADERS)
    if owner and owner.id == user.id:
        message = gettext("Thank you, %(email)s is verified.", email=user.email)
        return responses.redirect_with_message(request, "/", message)
    return responses.redirect_with_message(
        request, LOGIN_PATH, "Thank you, your address is verified. You can sign in now."
    )


def _account_owner(request: Request, user: User | None) -> User | None:
    """Return the signed-in user; None during an impersonation."""
    return None if request.state.impersonator else user


@router.post("/verify/again")
async def request_verification(request: Request, context: AccountCtx) -> Response:
    return await responses.request_email(request, context, registration.request_verification, "verify_again")


@router.get("/forgot-password")
async def forgot_password(request: Request) -> Response:
    return responses.show_form(request, "forgot_password", Form(EmailRequest))


@router.post("/forgot-password")
async def request_password_reset(request: Request, context: AccountCtx) -> Response:
    return await responses.request_email(request, context, registration.request_password_reset, "forgot_password")


@router.get("/reset-password")
async def show_password_reset(request: Request, session: ReadSession, token: str = "") -> Response:
    if await signed_links.read_link_token(session, request.app.state.settings, "reset", token) is None:
        return responses.show_invalid_link(request, FORGOT_PASSWORD_PATH)
    return responses.show_form(
        request, "reset_password", Form(PasswordReset, {"token": token}), responses.PRIVATE_HEADERS
    )


@router.post("/reset-password")
async def reset_password(request: Request, context: AccountCtx) -> Response:
    form = await read_form(request, PasswordReset)
    if form.data:
        try:
            async with responses.show_errors_in(form, context.session):
                await registration.reset_password(context, form.data.token, form.data.password)
                return responses.redirect_with_message(request, LOGIN_PATH, "You have a new password. Sign in with it.")
        except InvalidLinkError:
            return responses.show_invalid_link(request, FORGOT_PASSWORD_PATH)
    return responses.show_form(request, "reset_password", form, responses.PRIVATE_HEADERS)
