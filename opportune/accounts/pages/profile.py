"""Pages of the user's profile, e-mail address and password."""

from contextlib import suppress
from typing import Any

from fastapi import Request, Response
from sqlalchemy import update
from sqlmodel import col

from opportune.accounts import responses
from opportune.accounts.dependencies import AccountCtx, CurrentUser, OptionalUser
from opportune.accounts.flows import profile
from opportune.accounts.flows.registration import request_verification
from opportune.accounts.models import Session, User
from opportune.accounts.reauthentication import reauthenticated
from opportune.accounts.schemas import EmailToken, EmailUpdate, LinkRequest, PasswordUpdate
from opportune.accounts.sessions import cookies
from opportune.accounts.sign_in_methods.available import label_accounts, signs_in_by_email
from opportune.accounts.sign_in_methods.providers import list_configured_providers
from opportune.accounts.users.errors import EMAIL_TAKEN, EmailTakenError, InvalidPasswordError
from opportune.accounts.users.schemas import PROVED_FIELDS, UserUpdate
from opportune.config.settings import Settings
from opportune.db.sessions.dependencies import DatabaseDependency
from opportune.fields.files import stored_uploads
from opportune.i18n import gettext_lazy as _l
from opportune.schemas import Schema
from opportune.storage import StorageError
from opportune.web.cookies import set_cookie
from opportune.web.forms.forms import Form, read_form
from opportune.web.language import COOKIE, COOKIE_SECONDS, offered_languages
from opportune.web.middleware.compression import SECRET_HEADERS
from opportune.web.redirects import safe_redirect_path
from opportune.web.rendering.panels import render_panels
from opportune.web.rendering.templates import redirect
from opportune.web.routing.api_router import APIRouter

PROFILE_PATH = "/accounts/profile"

EMAIL_REQUESTED = _l("We have sent an e-mail to the new address. Open its link to use the address here.")
EMAIL_CHANGED = _l("Your e-mail address is changed.")
PASSWORD_CHANGED = _l(
    "Your password is changed. Every other device has been signed out, and all API tokens have ended."
)

router = APIRouter(prefix="/accounts")


@router.get("/profile")
async def own_profile(request: Request, user: CurrentUser) -> Response:
    return await show_profile(request, user, Form(UserUpdate, user), Form(EmailUpdate))


@router.post("/profile")
async def change_profile(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    """Store the fields of the project's `UserUpdate`, including uploaded files."""
    form = await read_form(request, UserUpdate, user)
    if form.data:
        changes = {name: getattr(form.data, name) for name in project_fields(form) if name not in form.files.kept}
        stored = stored_uploads(request.app.state.storage, User, changes)
        try:
            async with responses.show_errors_in(form, context.session), stored as values:
                await context.manager.user_db.update(user, values)
                return responses.redirect_with_message(request, PROFILE_PATH, "Your profile is saved.")
        except StorageError as error:
            form.refuse(str(error), status=error.status)
    return await show_profile(request, user, form, Form(EmailUpdate))


@router.post("/language")
async def change_language(request: Request, user: OptionalUser, database: DatabaseDependency) -> Response:
    """Store the language of the menu in a cookie, and in the profile of a user who is signed in."""
    form = await read_form(request, Schema)
    settings: Settings = request.app.state.settings
    code = form.value("language")
    response = redirect(request, safe_redirect_path(form.value("next")))
    if code not in offered_languages(settings):
        return response
    set_cookie(response, settings, COOKIE, code, COOKIE_SECONDS)
    if user and not request.state.impersonator:
        async with database.writer() as session:
            await session.execute(update(User).where(col(User.id) == user.id).values(language=code))
    return response


@router.post("/profile/verification")
async def ask_for_verification(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    await request_verification(context, user.email)
    return responses.redirect_with_message(
        request, PROFILE_PATH, "We have sent you an e-mail. Open its link to verify the address."
    )


@router.post("/profile/email")
async def ask_for_email(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    form = await read_form(request, EmailUpdate)
    if form.data and form.data.email == user.email:
        form.refuse("This is already your address.", "email")
    if data := await reauthenticated(context, user, form):
        try:
            await profile.check_email_change(context, user, data.email)
            is_pending = await profile.request_email_change(context, user, data.email)
            message = EMAIL_REQUESTED if is_pending else EMAIL_CHANGED
            return responses.redirect_with_message(request, PROFILE_PATH, message)
        except EmailTakenError:
            form.refuse(EMAIL_TAKEN, "email")
    return await show_profile(request, user, Form(UserUpdate, user), form)


@router.get("/change-email")
async def confirm_email(request: Request, user: CurrentUser, database: DatabaseDependency, token: str = "") -> Response:
    """Show a page with a button. The link itself changes nothing, because mail programs open links in advance."""
    async with database.reader(fresh=True) as session:
        link = await profile.read_email_change(session, request.app.state.settings, user, token)
    if link is None:
        return responses.show_invalid_link(request, PROFILE_PATH)
    return responses.show(request, "change_email", headers=SECRET_HEADERS, email=link.data["email"], token=token)


@router.post("/change-email")
async def change_email(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    form = await read_form(request, EmailToken)
    token = form.data.token if form.data else ""
    with suppress(EmailTakenError, InvalidPasswordError):  # another request was faster
        if link := await profile.read_email_change(context.session, context.settings, user, token):
            await profile.apply_email_change(context, link.user, link.data["email"], is_verified=True)
            return responses.redirect_with_message(request, PROFILE_PATH, EMAIL_CHANGED)
    return responses.show_invalid_link(request, PROFILE_PATH)


@router.get("/password")
async def password(request: Request, user: CurrentUser) -> Response:
    return responses.show(request, "password", form=Form(PasswordUpdate))


@router.post("/password")
async def set_password(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    """Change the password. All sessions and tokens end; this browser gets a new session."""
    form = await read_form(request, PasswordUpdate)
    if not await reauthenticated(context, user, form):
        await responses.show_password_error(request, context, form, "new_password", user)
    if form.data and not form.errors:
        try:
            user = await profile.change_password(context, user, form.data.new_password)
        except InvalidPasswordError as error:
            form.refuse(str(error), "new_password")
        else:
            old_session: Session = request.state.session
            response = responses.redirect_with_message(request, "/accounts/password", PASSWORD_CHANGED)
            await cookies.renew_session(context.session, user, request, response, remember=old_session.is_remembered)
            cookies.trust_device(request, response, user)
            return response
    return responses.show(request, "password", form=form)


async def show_profile(
    request: Request,
    user: User,
    profile_form: Form[UserUpdate],
    email_form: Form[EmailUpdate],
    link_form: Form[LinkRequest] | None = None,
) -> Response:
    """Render the profile page with its forms, and with the panels of the features."""
    forms = (profile_form, email_form, link_form)
    status = next((form.status for form in forms if form and form.errors), 200)
    render_functions = (feature.accounts.profile_panel for feature in request.app.state.features)
    providers = list_configured_providers(request.app.state.settings)
    context: dict[str, Any] = {
        "profile_form": profile_form,
        "project_fields": project_fields(profile_form),
        "email": email_form,
        "panels": await render_panels(request, render_functions, user),
        "providers": providers,
        "signs_in_by_email": signs_in_by_email(request.app.state.settings, user),
    }
    if providers:
        context["linking"] = link_form or Form(LinkRequest)
        context["linked"] = await label_accounts(request.app.state.database, request.app.state.settings, user)
    return responses.show(request, "profile", status, **context)


def project_fields(form: Form[UserUpdate]) -> list[str]:
    """Return the names of the fields that the project's `UserUpdate` adds."""
    return [name for name in form.controls if name not in PROVED_FIELDS]
