"""What people tell of themselves: their name, and their e-mail address."""

from fastapi import APIRouter, Request, Response
from sqlalchemy import update
from sqlmodel import col

from opportune.accounts import email_flows
from opportune.accounts.current import CurrentUser
from opportune.accounts.dependencies import UserManagerDependency
from opportune.accounts.manager import EMAIL_TAKEN, EmailTakenError, InvalidPasswordError
from opportune.accounts.models import User
from opportune.accounts.pages.answers import invalid_link
from opportune.accounts.pages.frame import done, reauthenticated, show
from opportune.accounts.profile import email_change
from opportune.accounts.schemas import EmailConfirmation, EmailUpdate, ProfileUpdate
from opportune.db.sessions.dependencies import DatabaseDependency, WriteSession
from opportune.web.forms.forms import Form, read_form
from opportune.web.middleware.compression import SECRET_HEADERS

PROFILE = "/accounts/profile"

ASKED = "We have written to the new address. Open the link in that letter, and it becomes yours here."
CHANGED = "Your e-mail address is changed."

router = APIRouter(prefix="/accounts")


@router.get("/profile")
async def profile(request: Request, user: CurrentUser) -> Response:
    return show_profile(request, Form(ProfileUpdate, user), Form(EmailUpdate))


@router.post("/profile")
async def change_name(request: Request, user: CurrentUser, session: WriteSession) -> Response:
    form = await read_form(request, ProfileUpdate)
    if form.data is None:
        return show_profile(request, form, Form(EmailUpdate))
    await session.execute(update(User).where(col(User.id) == user.id).values(form.data.model_dump()))
    return done(request, "profile", "Your name is saved.")


@router.post("/profile/verification")
async def ask_for_verification(request: Request, user: CurrentUser, manager: UserManagerDependency) -> Response:
    await email_flows.request_verification(request, manager, user.email)
    return done(request, "profile", "We have written to you. Open the link in the letter.")


@router.post("/profile/email")
async def ask_for_email(request: Request, user: CurrentUser, manager: UserManagerDependency) -> Response:
    form = await read_form(request, EmailUpdate)
    if form.data and form.data.email == user.email:
        form.refuse("This is your address already.", "email")
    if wanted := await reauthenticated(request, manager, user, form):
        try:
            await email_change.check_email_change(request, manager, user, wanted.email)
            asked = await email_change.request_email_change(manager, request.app.state.settings, user, wanted.email)
            return done(request, "profile", ASKED if asked else CHANGED)
        except EmailTakenError:
            form.refuse(EMAIL_TAKEN, "email")
    return show_profile(request, Form(ProfileUpdate, user), form)


@router.get("/change-email")
async def confirm_email(request: Request, user: CurrentUser, database: DatabaseDependency, token: str = "") -> Response:
    """Where the link leads. It changes nothing: programs open links too, to look for harm."""
    async with database.reader(fresh=True) as session:
        found = await email_change.read_email_change(session, request.app.state.settings, user, token)
    if found is None:
        return invalid_link(request, PROFILE)
    response = show(request, "change_email", email=found[1], token=token)
    response.headers.update(SECRET_HEADERS)
    return response


@router.post("/change-email")
async def change_email(request: Request, user: CurrentUser, manager: UserManagerDependency) -> Response:
    form = await read_form(request, EmailConfirmation)
    token = form.data.token if form.data else ""
    found = await email_change.read_email_change(manager.session, request.app.state.settings, user, token)
    if found is None:
        return invalid_link(request, PROFILE)
    known, email = found
    try:
        await email_change.confirm_email_change(manager, request.app.state.settings, known, email)
    except (EmailTakenError, InvalidPasswordError):  # in the meantime
        return invalid_link(request, PROFILE)
    return done(request, "profile", CHANGED)


def show_profile(request: Request, name: Form[ProfileUpdate], email: Form[EmailUpdate]) -> Response:
    status = name.status if name.errors else email.status
    return show(request, "profile", status, name=name, email=email)
