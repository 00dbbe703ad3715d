"""Page that confirms the user's identity by a code in an e-mail."""

from typing import Any
from urllib.parse import urlencode

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.email_confirmation import service
from opportune.accounts.email_confirmation.dependencies import confirm_by_email, require_email_confirmation
from opportune.accounts.models import User
from opportune.accounts.responses import next_page, redirect_to_next, show, show_errors_in
from opportune.accounts.schemas import EmailConfirmationCode
from opportune.i18n import gettext
from opportune.web.forms.forms import Form, read_form
from opportune.web.rate_limit import TooManyRequests
from opportune.web.rendering.flash import flash
from opportune.web.routing.api_router import APIRouter

PATH = "/accounts/confirm/email"

router = APIRouter(prefix=PATH, dependencies=[Depends(require_email_confirmation)])


@router.get("")
async def ask_code(request: Request, user: CurrentUser) -> Response:
    return _show(request, user, Form(EmailConfirmationCode))


@router.post("")
async def send_email(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    """Send a code. This form contains only the field `next`."""
    next_path = next_page(request, await read_form(request, EmailConfirmationCode))
    try:
        await service.send_code(context, user, request.state.session)
    except TooManyRequests as refusal:
        flash(request, refusal.detail, "danger")
    else:
        flash(request, gettext("An e-mail with a code is on its way to %(email)s.", email=user.email))
    return RedirectResponse(f"{PATH}?{urlencode({'next': next_path})}", 303)


@router.post("/code")
async def check_code(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    form = await read_form(request, EmailConfirmationCode)
    if form.data:
        with show_errors_in(form):
            await confirm_by_email(request, context, user, form.data)
            return redirect_to_next(request, form)
    return _show(request, user, form)


def _show(request: Request, user: User, form: Form[EmailConfirmationCode]) -> Response:
    context: dict[str, Any] = {"next": next_page(request, form), "needs_second_factor": user.has_two_factor}
    return show(request, "confirm_by_email", form=form, **context)
