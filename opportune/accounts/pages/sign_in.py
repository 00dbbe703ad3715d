"""Pages to sign in, with a second step for users with a second factor, and to sign out.

An impersonation starts in the admin, on the page of the user, and ends here.
"""

from typing import Annotated, Any

from fastapi import Form as FormField
from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts import responses
from opportune.accounts.dependencies import AccountCtx, OptionalUser
from opportune.accounts.flows import impersonation, sign_in
from opportune.accounts.models import User
from opportune.accounts.schemas import SignIn, SignInCode
from opportune.accounts.sessions import cookies
from opportune.accounts.sign_in_methods.second_factor import has_passkey
from opportune.accounts.sign_in_redirects import LOGIN_PATH
from opportune.db.sessions.dependencies import ReadSession, WriteSession
from opportune.i18n import gettext
from opportune.web.forms.forms import Form, read_form
from opportune.web.redirects import safe_redirect_path
from opportune.web.rendering.flash import flash
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/accounts")


@router.get("/login")
async def show_login(request: Request, user: OptionalUser) -> Response:
    return responses.redirect_to_next(request) if user else responses.show_form(request, "login", Form(SignIn))


@router.post("/login")
async def login(request: Request, context: AccountCtx) -> Response:
    form = await read_form(request, SignIn)
    if data := form.data:
        async with responses.show_errors_in(form, context.session):
            device = cookies.trusted_device(request, data.email)
            user = await sign_in.check_password(context, data.email, data.password, device)
            if user:
                return await responses.finish_first_step(
                    request, context, user, responses.next_page(request, form), remember=data.remember
                )
            form.refuse(sign_in.WRONG_CREDENTIALS)
    return responses.show_form(request, "login", form)


@router.get("/login/code")
async def show_code_form(request: Request, session: ReadSession) -> Response:
    if pending := await responses.read_pending_sign_in(request, session):
        return await _render_code_form(request, session, pending.user, Form(SignInCode))
    return RedirectResponse(LOGIN_PATH, 303)


@router.post("/login/code")
async def check_code(request: Request, context: AccountCtx) -> Response:
    form = await read_form(request, SignInCode)
    pending = await responses.read_pending_sign_in(request, context.session)
    if pending is None:
        return RedirectResponse(LOGIN_PATH, 303)
    user, options = pending
    if form.data:
        async with responses.show_errors_in(form, context.session):
            if await sign_in.check_code(context, user, form.data.code):
                return await responses.finish_second_step(request, context, user, options)
            form.refuse(sign_in.WRONG_CODE, "code")
    return await _render_code_form(request, context.session, user, form)


async def _render_code_form(request: Request, session: AsyncSession, user: User, form: Form[SignInCode]) -> Response:
    factors: dict[str, Any] = {"has_app": user.has_two_factor, "has_passkey": await has_passkey(session, user)}
    return responses.show_form(request, "sign_in_code", form, **factors)


@router.post("/logout")
async def sign_out(request: Request, session: WriteSession, next: Annotated[str, FormField()] = "/") -> Response:
    response = RedirectResponse(safe_redirect_path(next), 303)
    await cookies.sign_out(session, request, response)
    flash(request, "You are signed out.")
    return response


@router.post("/impersonation/end")
async def end_impersonation(request: Request, user: OptionalUser, context: AccountCtx) -> Response:
    if user is None or request.state.impersonator is None:  # the session has expired
        return RedirectResponse(LOGIN_PATH, 303)
    superuser_session = await impersonation.end_impersonation(context, user, request.state.session)
    if superuser_session is None:
        response = RedirectResponse(LOGIN_PATH, 303)
        await cookies.sign_out(context.session, request, response)
        return response
    flash(request, gettext("You are back in your own account, and no longer signed in as %(email)s.", email=user.email))
    response = RedirectResponse(f"/admin/user/details/{user.id}", 303)
    cookies.set_session_cookie(request, response, *superuser_session)
    return response
