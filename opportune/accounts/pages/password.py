"""A new password."""

from fastapi import APIRouter, Request, Response

from opportune.accounts.current import CurrentUser
from opportune.accounts.dependencies import UserManagerDependency
from opportune.accounts.manager import InvalidPasswordError
from opportune.accounts.models import Session
from opportune.accounts.pages.answers import signed_in
from opportune.accounts.pages.frame import done, reauthenticated, show
from opportune.accounts.profile.password_change import change_password
from opportune.accounts.schemas import PasswordUpdate
from opportune.web.forms.forms import Form, read_form

CHANGED = "Your password is changed. Every other device has been signed out, and all API tokens have ended."

router = APIRouter(prefix="/accounts")


@router.get("/password")
async def password(request: Request, _user: CurrentUser) -> Response:
    return show(request, "password", form=Form(PasswordUpdate))


@router.post("/password")
async def set_password(request: Request, user: CurrentUser, manager: UserManagerDependency) -> Response:
    """Ends every session and token; this browser gets a new session."""
    form = await read_form(request, PasswordUpdate)
    if wanted := await reauthenticated(request, manager, user, form):
        try:
            user = await change_password(manager, request.app.state.settings, user, wanted.new_password)
        except InvalidPasswordError as error:
            form.refuse(str(error), "new_password")
        else:
            here: Session = request.state.session
            return await signed_in(request, manager, user, done(request, "password", CHANGED), here.is_remembered)
    return show(request, "password", form.status, form=form)
