"""Pages of registration."""

from fastapi import Request, Response

from opportune.accounts.dependencies import AccountCtx, OptionalUser
from opportune.accounts.emails.delivery import email_is_enabled
from opportune.accounts.registration import service
from opportune.accounts.responses import (
    next_page,
    redirect_to_next,
    show,
    show_email_sent,
    show_errors_in,
    show_form,
    show_password_error,
    sign_in_redirect,
)
from opportune.accounts.schemas import UserCreate
from opportune.accounts.users.errors import EmailTakenError, RegistrationClosedError
from opportune.config.settings import Settings
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.web.forms.forms import Form, read_form
from opportune.web.rendering.flash import flash
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/accounts")

NOT_CREATED = _l("No account was created with this address. If you already have an account, sign in.")


@router.get("/register")
async def show_registration(request: Request, user: OptionalUser) -> Response:
    if user:
        return redirect_to_next(request)
    if request.app.state.settings.registration == "closed":
        return show(request, "registration_closed", 403)
    return show_form(request, "register", Form(UserCreate))


@router.post("/register")
async def register(request: Request, context: AccountCtx) -> Response:
    if context.settings.registration == "closed":
        return show(request, "registration_closed", 403)
    form = await read_form(request, UserCreate)
    if not form.data:
        await show_password_error(request, context, form, "password")
        return show_form(request, "register", form)
    try:
        with show_errors_in(form):
            user = await service.register(context, form.data.email, form.data.password)
            if not user:
                return show_email_sent(request)
            flash(request, _welcome(context.settings, user.email))
            return await sign_in_redirect(request, context.session, user, next_page(request, form))
    except RegistrationClosedError as refusal:
        form.refuse(str(refusal), "email", 403)
    except EmailTakenError:
        form.refuse(NOT_CREATED, "email")
    return show_form(request, "register", form)


def _welcome(settings: Settings, email: str) -> str:
    welcome = gettext("Welcome! You have an account now, and are signed in.")
    if not email_is_enabled(settings):
        return welcome
    sent = gettext("An e-mail was sent to %(email)s: open its link to verify the address.", email=email)
    return f"{welcome} {sent}"
