"""Pages of sign-in by e-mail: request one, enter its code, or open its link."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts.dependencies import LOGIN_PATH, AccountCtx, OptionalUser
from opportune.accounts.email_sign_in import service
from opportune.accounts.email_sign_in.cookies import forget_request, remember_request, remembered_request
from opportune.accounts.email_sign_in.dependencies import require_email_sign_in
from opportune.accounts.models import User
from opportune.accounts.responses import (
    PRIVATE_HEADERS,
    invalid_link,
    next_page,
    redirect_to_next,
    show,
    show_form,
    show_refusal,
    sign_in_response,
)
from opportune.accounts.schemas import EmailSignIn, EmailSignInCode, EmailSignInLink
from opportune.accounts.sessions.trusted_devices import trusted_device
from opportune.accounts.sign_in.second_step import redirect_to_code
from opportune.accounts.sign_in_methods.second_factor import has_second_factor
from opportune.accounts.users.context import AccountContext
from opportune.db.sessions.dependencies import ReadSession
from opportune.web.forms.forms import Form, read_form
from opportune.web.rate_limit import TooManyRequests
from opportune.web.redirects import safe_redirect_path
from opportune.web.rendering.flash import flash

PATH = f"{LOGIN_PATH}/email"
CLAIMED = (
    "Your address is verified now. As somebody else may have opened the account with it, its password and all that"
    " signed in there before have ended: choose a password of your own."
)


router = APIRouter(prefix=PATH, dependencies=[Depends(require_email_sign_in)])


@router.get("")
async def ask_email(request: Request, user: OptionalUser) -> Response:
    return redirect_to_next(request) if user else show_form(request, "email_sign_in", Form(EmailSignIn))


@router.post("")
async def send_email(request: Request, context: AccountCtx) -> Response:
    """Send an e-mail if the address has an account."""
    form, headers = await read_form(request, EmailSignIn), None
    if form.data:
        try:
            pending = await service.request_sign_in(
                context, form.data.email, next_page(request, form), remember=form.data.remember
            )
        except TooManyRequests as refusal:
            headers = show_refusal(form, refusal)
        else:
            response = RedirectResponse(f"{PATH}/code", 303)
            remember_request(request, response, pending)
            return response
    return show_form(request, "email_sign_in", form, headers)


@router.get("/code")
async def ask_code(request: Request) -> Response:
    pending = remembered_request(request)
    return _show_code(request, pending, Form(EmailSignInCode)) if pending else RedirectResponse(PATH, 303)


@router.post("/code")
async def check_code(request: Request, context: AccountCtx) -> Response:
    pending = remembered_request(request)
    if pending is None:
        return RedirectResponse(PATH, 303)
    form, headers = await read_form(request, EmailSignInCode), None
    if form.data:
        try:
            user = await service.check_code(context, pending, form.data.code, trusted_device(request, pending.email))
        except service.RequestEnded:
            return _begin_again(request, service.ENDED)
        except TooManyRequests as refusal:
            headers = show_refusal(form, refusal)
        else:
            if user:
                return await _enter(request, context, user, pending.number, pending.next, remember=pending.remember)
            form.refuse(service.WRONG_CODE, "code")
    return _show_code(request, pending, form, headers)


@router.get("/link")
async def show_link(request: Request, session: ReadSession, token: str = "") -> Response:
    """Show a page with a button. The link itself changes nothing, because mail programs open links in advance."""
    found = await service.read_link(session, request.app.state.settings, token)
    if found is None:
        return invalid_link(request, PATH)
    user, details = found
    here = remembered_request(request)
    is_here = here is not None and here.number == details["number"]
    form = Form(EmailSignInLink, {"token": token, "remember": is_here and here and here.remember})
    context = {"email": user.email, "asked": details, "at": datetime.fromisoformat(details["at"]), "is_here": is_here}
    page = show(request, "email_sign_in_link", form=form, **context)
    page.headers.update(PRIVATE_HEADERS)
    return page


@router.post("/link")
async def use_link(request: Request, context: AccountCtx) -> Response:
    form = await read_form(request, EmailSignInLink)
    found = form.data and await service.read_link(context.session, context.settings, form.data.token)
    if not (form.data and found):
        context.log_refused_sign_in("email", None)
        return invalid_link(request, PATH)
    user, details = found
    return await _enter(request, context, user, details["number"], details["next"], remember=form.data.remember)


async def _enter(
    request: Request,
    context: AccountContext,
    user: User,
    number: str,
    next_path: str,
    *,
    remember: bool,
) -> Response:
    """Sign in the user of this e-mail, or ask for their second factor."""
    is_taken_over = user.has_password and not user.is_verified
    if not await service.use_email(context, user, number):
        response = invalid_link(request, PATH)
    elif await has_second_factor(context.session, user):
        response = redirect_to_code(request, user, next_path, remember=remember)
    else:
        response = RedirectResponse(safe_redirect_path(next_path), 303)
        await sign_in_response(request, context.session, user, response, remember=remember)
        if is_taken_over:
            flash(request, CLAIMED, "warning")
    forget_request(request, response)
    return response


def _begin_again(request: Request, words: str) -> Response:
    flash(request, words, "danger")
    response = RedirectResponse(PATH, 303)
    forget_request(request, response)
    return response


def _show_code(
    request: Request, pending: service.SignInRequest, form: Form[Any], headers: Mapping[str, str] | None = None
) -> Response:
    page = show(request, "email_sign_in_code", form.status, form=form, wanted=pending)
    page.headers.update(headers or {})
    return page
