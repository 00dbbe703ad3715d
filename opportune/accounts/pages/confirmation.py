"""Pages that confirm the user's identity. The confirmation is stored in the session for 15 minutes."""

from typing import Any

from fastapi import Depends, Request, Response

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.flows.confirmation import is_confirmed, send_confirmation_email
from opportune.accounts.models import User
from opportune.accounts.reauthentication import confirm_by_email, confirm_identity, require_email_confirmation
from opportune.accounts.responses import next_page, redirect_to_next, redirect_with_message, show, show_errors_in
from opportune.accounts.schemas import Confirmation, EmailConfirmationCode
from opportune.accounts.sign_in_methods.available import confirms_by_email
from opportune.accounts.sign_in_methods.second_factor import has_second_factor
from opportune.accounts.users.context import AccountContext
from opportune.i18n import gettext
from opportune.web.forms.forms import Form, read_form
from opportune.web.rate_limit import TooManyRequests
from opportune.web.redirects import with_next
from opportune.web.routing.api_router import APIRouter

EMAIL_PATH = "/accounts/confirm/email"

router = APIRouter(prefix="/accounts/confirm")
BY_EMAIL = [Depends(require_email_confirmation)]


@router.get("")
async def show_confirmation_form(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    if is_confirmed(request.state.session, user):
        return redirect_to_next(request)
    return await _show_form(request, context, user, Form(Confirmation))


@router.post("")
async def confirm(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    form = await read_form(request, Confirmation)
    if form.data:
        async with show_errors_in(form, context.session):
            await confirm_identity(context, user, form.data)
            return redirect_to_next(request, form)
    return await _show_form(request, context, user, form)


async def _show_form(request: Request, context: AccountContext, user: User, form: Form[Confirmation]) -> Response:
    variables: dict[str, Any] = {
        "next": next_page(request, form),
        "needs_code": await has_second_factor(context.session, user),
        "by_email": await confirms_by_email(context.session, context.settings, user),
    }
    return show(request, "confirm", form=form, **variables)


@router.get("/email", dependencies=BY_EMAIL)
async def show_code_form(request: Request, user: CurrentUser) -> Response:
    return _show_code_form(request, user, Form(EmailConfirmationCode))


@router.post("/email", dependencies=BY_EMAIL)
async def send_code(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    """Send a code. This form contains only the field `next`."""
    path = with_next(EMAIL_PATH, next_page(request, await read_form(request, EmailConfirmationCode)))
    try:
        await send_confirmation_email(context, user, request.state.session)
    except TooManyRequests as refusal:
        return redirect_with_message(request, path, refusal.detail, "danger")
    message = gettext("An e-mail with a code is on its way to %(email)s.", email=user.email)
    return redirect_with_message(request, path, message)


@router.post("/email/code", dependencies=BY_EMAIL)
async def check_code(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    form = await read_form(request, EmailConfirmationCode)
    if form.data:
        async with show_errors_in(form, context.session):
            await confirm_by_email(request, context, user, form.data)
            return redirect_to_next(request, form)
    return _show_code_form(request, user, form)


def _show_code_form(request: Request, user: User, form: Form[EmailConfirmationCode]) -> Response:
    context: dict[str, Any] = {"next": next_page(request, form), "needs_second_factor": user.has_two_factor}
    return show(request, "confirm_by_email", form=form, **context)
