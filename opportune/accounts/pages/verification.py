"""Pages of the verification of an address."""

from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts.dependencies import AccountCtx, OptionalUser
from opportune.accounts.models import User
from opportune.accounts.responses import PRIVATE_HEADERS, request_email, show_form, show_invalid_link, use_link
from opportune.accounts.schemas import EmailRequest, EmailToken, EmailVerification
from opportune.accounts.sign_in_redirects import LOGIN_PATH
from opportune.accounts.verification import service
from opportune.db.sessions.dependencies import ReadSession
from opportune.i18n import gettext
from opportune.web.forms.forms import Form, read_form
from opportune.web.rendering.flash import flash
from opportune.web.routing.api_router import APIRouter

REQUEST_PATH = "/accounts/verify"

router = APIRouter(prefix="/accounts")


@router.get("/verify")
async def show_link(request: Request, user: OptionalUser, session: ReadSession, token: str = "") -> Response:
    """Show a page with a button. The link itself changes nothing, because mail programs open links in advance."""
    if not token:
        return show_form(request, "verify_again", Form(EmailRequest))
    settings = request.app.state.settings
    if not await service.can_verify(session, settings, token):
        return show_invalid_link(request, REQUEST_PATH)
    is_own_link = await service.is_link_for(session, settings, token, _account_owner(request, user))
    form: Form[Any] = Form(EmailToken if is_own_link else EmailVerification, {"token": token})
    return show_form(request, "verify", form, PRIVATE_HEADERS)


@router.post("/verify")
async def verify(request: Request, signed_in_user: OptionalUser, context: AccountCtx) -> Response:
    form = await read_form(request, EmailVerification)
    if not form.data:
        return show_invalid_link(request, REQUEST_PATH)
    owner = _account_owner(request, signed_in_user)
    change = service.verify_email(context, form.data.token, form.data.password, owner)
    user = await use_link(request, form, change, template="verify", request_path=REQUEST_PATH)
    if isinstance(user, Response):
        return user
    if owner and owner.id == user.id:
        flash(request, gettext("Thank you, %(email)s is verified.", email=user.email))
        return RedirectResponse("/", 303)
    flash(request, "Thank you, your address is verified. You can sign in now.")
    return RedirectResponse(LOGIN_PATH, 303)


def _account_owner(request: Request, user: User | None) -> User | None:
    """Return the signed-in user; None during an impersonation."""
    return None if request.state.impersonator else user


@router.post("/verify/again")
async def request_verification(request: Request, context: AccountCtx) -> Response:
    return await request_email(request, context, service.request_verification, "verify_again")
