"""Sign in, in two steps where somebody has a second factor, and out."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts import signed_links
from opportune.accounts.dependencies import LOGIN_PATH, AccountCtx, OptionalUser
from opportune.accounts.models import User
from opportune.accounts.responses import next_page, refuse, show_form, signed_in, to_next
from opportune.accounts.schemas import SignIn, SignInCode
from opportune.accounts.sessions import cookies
from opportune.accounts.sign_in import service
from opportune.accounts.sign_in.redirects import safe_redirect_path
from opportune.accounts.sign_in.trusted_devices import COOKIE_PATH, trusted_device
from opportune.db.sessions.dependencies import ReadSession, WriteSession
from opportune.settings import Settings
from opportune.web.forms.forms import Form, read_form
from opportune.web.rate_limit import TooManyRequests
from opportune.web.rendering.flash import flash

router = APIRouter(prefix="/accounts")


@router.get("/login")
async def login(request: Request, user: OptionalUser) -> Response:
    return to_next(request) if user else show_form(request, "login", Form(SignIn))


@router.post("/login")
async def sign_in(request: Request, context: AccountCtx) -> Response:
    form = await read_form(request, SignIn)
    headers = None
    if form.data:
        email = form.data.email
        try:
            user = await service.check_password(context, email, form.data.password, trusted_device(request, email))
        except TooManyRequests as refusal:
            headers = refuse(form, refusal)
        else:
            if user and user.has_two_factor:
                return _to_code(request, user, form)
            if user:
                response = to_next(request, form)
                return await signed_in(request, context.session, user, response, remember=form.data.remember)
            form.refuse(service.WRONG_CREDENTIALS)
    return show_form(request, "login", form, headers)


@router.get("/login/code")
async def ask_code(request: Request, session: ReadSession) -> Response:
    if await _pending(request, session):
        return show_form(request, "sign_in_code", Form(SignInCode))
    return RedirectResponse(LOGIN_PATH, 303)


@router.post("/login/code")
async def check_code(request: Request, context: AccountCtx) -> Response:
    form = await read_form(request, SignInCode)
    pending = await _pending(request, context.session)
    if pending is None:
        return RedirectResponse(LOGIN_PATH, 303)
    user, wanted = pending
    headers = None
    if form.data:
        try:
            is_right = await service.check_code(context, user, form.data.code)
        except TooManyRequests as refusal:
            headers = refuse(form, refusal)
        else:
            if is_right:
                response = RedirectResponse(safe_redirect_path(wanted["next"]), 303)
                _set_pending(request, response, "", 0)
                return await signed_in(request, context.session, user, response, remember=wanted["remember"])
            form.refuse(service.WRONG_CODE, "code")
    return show_form(request, "sign_in_code", form, headers)


@router.post("/logout")
async def sign_out(request: Request, session: WriteSession) -> Response:
    response = RedirectResponse("/", 303)
    await cookies.sign_out(session, request, response)
    flash(request, "You are signed out.")
    return response


def _to_code(request: Request, user: User, form: Form[SignIn]) -> Response:
    """On to the second step. Until then there is no session: only a note of whose password it was."""
    response = RedirectResponse(f"{LOGIN_PATH}/code", 303)
    wanted = {"next": next_page(request, form), "remember": form.data is not None and form.data.remember}
    seconds = int(signed_links.LIFETIMES["code"].total_seconds())
    token = signed_links.make_link_token(request.app.state.settings, "code", user, **wanted)
    _set_pending(request, response, token, seconds)
    return response


async def _pending(request: Request, session: ReadSession) -> tuple[User, dict[str, Any]] | None:
    settings: Settings = request.app.state.settings
    token = request.cookies.get(_pending_cookie(settings), "")
    return await signed_links.read_link_token(session, settings, "code", token)


def _pending_cookie(settings: Settings) -> str:
    return "__Secure-pending" if settings.has_secure_cookies else "pending"


def _set_pending(request: Request, response: Response, value: str, seconds: int) -> None:
    settings: Settings = request.app.state.settings
    response.set_cookie(
        _pending_cookie(settings),
        value,
        max_age=seconds,
        path=COOKIE_PATH,
        secure=settings.has_secure_cookies,
        httponly=True,
        samesite="lax",
    )
