"""Pages of signing in, with a second step for users with a second factor, and of signing out."""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.dependencies import LOGIN_PATH, AccountCtx, OptionalUser
from opportune.accounts.models import User
from opportune.accounts.responses import next_page, redirect_to_next, show_form, show_refusal, sign_in_response
from opportune.accounts.schemas import SignIn, SignInCode
from opportune.accounts.sessions import cookies
from opportune.accounts.sessions.trusted_devices import trusted_device
from opportune.accounts.sign_in import service
from opportune.accounts.sign_in.second_step import forget_pending, pending_sign_in, redirect_to_code
from opportune.accounts.sign_in_methods.second_factor import has_passkey, has_second_factor
from opportune.db.sessions.dependencies import ReadSession, WriteSession
from opportune.web.forms.forms import Form, read_form
from opportune.web.rate_limit import TooManyRequests
from opportune.web.redirects import safe_redirect_path
from opportune.web.rendering.flash import flash

router = APIRouter(prefix="/accounts")


@router.get("/login")
async def login(request: Request, user: OptionalUser) -> Response:
    return redirect_to_next(request) if user else show_form(request, "login", Form(SignIn))


@router.post("/login")
async def sign_in(request: Request, context: AccountCtx) -> Response:
    form = await read_form(request, SignIn)
    headers = None
    if form.data:
        email = form.data.email
        try:
            user = await service.check_password(context, email, form.data.password, trusted_device(request, email))
        except TooManyRequests as refusal:
            headers = show_refusal(form, refusal)
        else:
            if user and await has_second_factor(context.session, user):
                return redirect_to_code(request, user, next_page(request, form), remember=form.data.remember)
            if user:
                response = redirect_to_next(request, form)
                return await sign_in_response(request, context.session, user, response, remember=form.data.remember)
            form.refuse(service.WRONG_CREDENTIALS)
    return show_form(request, "login", form, headers)


@router.get("/login/code")
async def ask_code(request: Request, session: ReadSession) -> Response:
    if pending := await pending_sign_in(request, session):
        return await _show_code(request, session, pending[0], Form(SignInCode))
    return RedirectResponse(LOGIN_PATH, 303)


@router.post("/login/code")
async def check_code(request: Request, context: AccountCtx) -> Response:
    form = await read_form(request, SignInCode)
    pending = await pending_sign_in(request, context.session)
    if pending is None:
        return RedirectResponse(LOGIN_PATH, 303)
    user, options = pending
    headers = None
    if form.data:
        try:
            is_right = await service.check_code(context, user, form.data.code)
        except TooManyRequests as refusal:
            headers = show_refusal(form, refusal)
        else:
            if is_right:
                response = RedirectResponse(safe_redirect_path(options["next"]), 303)
                forget_pending(request, response)
                return await sign_in_response(request, context.session, user, response, remember=options["remember"])
            form.refuse(service.WRONG_CODE, "code")
    return await _show_code(request, context.session, user, form, headers)


async def _show_code(
    request: Request,
    session: AsyncSession,
    user: User,
    form: Form[SignInCode],
    headers: Mapping[str, str] | None = None,
) -> Response:
    ways = {"has_app": user.has_two_factor, "has_passkey": await has_passkey(session, user)}
    return show_form(request, "sign_in_code", form, headers, **ways)


@router.post("/logout")
async def sign_out(request: Request, session: WriteSession) -> Response:
    response = RedirectResponse("/", 303)
    await cookies.sign_out(session, request, response)
    flash(request, "You are signed out.")
    return response
