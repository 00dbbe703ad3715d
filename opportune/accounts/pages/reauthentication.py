"""Page that confirms the user's identity. The confirmation is stored in the session for 15 minutes."""

from typing import Any

from fastapi import Request, Response

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.models import User
from opportune.accounts.reauthentication.identity import confirm_identity
from opportune.accounts.reauthentication.service import is_confirmed
from opportune.accounts.responses import next_page, redirect_to_next, show, show_errors_in
from opportune.accounts.schemas import Confirmation
from opportune.accounts.sign_in_methods.available import confirms_by_email
from opportune.accounts.sign_in_methods.second_factor import has_second_factor
from opportune.accounts.users.context import AccountContext
from opportune.web.forms.forms import Form, read_form
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/accounts/confirm")


@router.get("")
async def show_confirmation_form(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    if is_confirmed(request.state.session, user):
        return redirect_to_next(request)
    return await _show_page(request, context, user, Form(Confirmation))


@router.post("")
async def confirm(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    form = await read_form(request, Confirmation)
    if form.data:
        with show_errors_in(form):
            await confirm_identity(context, user, form.data)
            return redirect_to_next(request, form)
    return await _show_page(request, context, user, form)


async def _show_page(request: Request, context: AccountContext, user: User, form: Form[Confirmation]) -> Response:
    variables: dict[str, Any] = {
        "next": next_page(request, form),
        "needs_code": await has_second_factor(context.session, user),
        "by_email": await confirms_by_email(context.session, context.settings, user),
    }
    return show(request, "confirm", form=form, **variables)
