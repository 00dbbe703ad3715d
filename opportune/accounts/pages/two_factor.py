"""Pages of the authenticator app and the recovery codes."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.dependencies import CurrentUser
from opportune.accounts.flows.two_factor import InvalidState, TwoFactorSetup
from opportune.accounts.models import User
from opportune.accounts.responses import show
from opportune.accounts.schemas import TwoFactorCredentials, TwoFactorEnable, TwoFactorStart
from opportune.accounts.sign_in_methods import second_factor
from opportune.accounts.two_factor_dependency import TwoFactorDependency
from opportune.db.sessions.dependencies import ReadSession
from opportune.web.forms.forms import Form, read_form
from opportune.web.middleware.compression import SECRET_HEADERS
from opportune.web.rendering.flash import flash
from opportune.web.routing.api_router import APIRouter

TWO_FACTOR_PATH = "/accounts/two-factor"
PAGES_WITH_SECRETS = ("two_factor_setup", "two_factor_codes")

T = TypeVar("T")
M = TypeVar("M", bound=TwoFactorStart | TwoFactorEnable)

router = APIRouter(prefix=TWO_FACTOR_PATH)


@router.get("")
async def show_two_factor(request: Request, user: CurrentUser, session: ReadSession) -> Response:
    return await _show_state(request, user, session, Form(TwoFactorStart))


@router.post("")
async def start(request: Request, setup: TwoFactorDependency) -> Response:
    form = await read_form(request, TwoFactorStart)
    pending = await _try_change(form, lambda data: setup.start(data.password))
    if form.errors:
        return await _show_state(request, setup.user, setup.context.session, form)
    if not pending:
        return _redirect_back()
    return _render(request, "two_factor_setup", Form(TwoFactorEnable, pending), setup=pending)


@router.post("/confirm")
async def enable(request: Request, setup: TwoFactorDependency) -> Response:
    form = await read_form(request, TwoFactorEnable)
    codes = await _try_change(form, lambda data: setup.enable(data.sealed, data.code))
    if codes:
        return _render(request, "two_factor_codes", form, codes=codes, is_new=True)
    try:
        pending = setup.resume(form.value("sealed"))
    except InvalidState:
        return _redirect_back()
    return _render(request, "two_factor_setup", form, setup=pending)


@router.get("/codes")
async def show_renew_form(request: Request, user: CurrentUser, session: ReadSession) -> Response:
    form = Form(TwoFactorCredentials)
    has_factor = await second_factor.has_second_factor(session, user)
    return _render(request, "two_factor_confirm", form, action="codes") if has_factor else _redirect_back()


@router.post("/codes")
async def renew_recovery_codes(request: Request, setup: TwoFactorDependency) -> Response:
    form = await read_form(request, TwoFactorCredentials)
    codes = await _try_change(form, lambda data: setup.renew_recovery_codes(data.password, data.code))
    if codes:
        return _render(request, "two_factor_codes", form, codes=codes, is_new=False)
    return _render(request, "two_factor_confirm", form, action="codes") if form.errors else _redirect_back()


@router.get("/off")
async def show_disable_form(request: Request, user: CurrentUser) -> Response:
    form = Form(TwoFactorCredentials)
    return _render(request, "two_factor_confirm", form, action="off") if user.has_two_factor else _redirect_back()


@router.post("/off")
async def disable(request: Request, setup: TwoFactorDependency) -> Response:
    form = await read_form(request, TwoFactorCredentials)
    await _try_change(form, partial(_disable, request, setup))
    return _render(request, "two_factor_confirm", form, action="off") if form.errors else _redirect_back()


async def _disable(request: Request, setup: TwoFactorSetup, proof: TwoFactorCredentials) -> None:
    await setup.disable(proof.password, proof.code)
    flash(request, "Two-factor authentication is off.")


async def _try_change(form: Form[M], change: Callable[[M], Awaitable[T]]) -> T | None:
    """Return the result of a change. If it fails, return None, and show a wrong password or code in the form."""
    with suppress(InvalidState):  # another request has changed the second factor, and the page shows its current state
        return await form.save(change)
    return None


async def _show_state(request: Request, user: User, session: AsyncSession, form: Form[TwoFactorStart]) -> Response:
    state = request.app.state
    context = {
        "codes_left": await second_factor.count_recovery_codes(session, user),
        "is_required": await second_factor.setup_is_required(state.database, state.settings, user),
        "has_passkey": await second_factor.has_passkey(session, user),
    }
    return _render(request, "two_factor", form, **context)


def _redirect_back() -> Response:
    return RedirectResponse(TWO_FACTOR_PATH, 303)


def _render(request: Request, name: str, form: Form[Any], **context: Any) -> Response:
    return show(request, name, headers=SECRET_HEADERS if name in PAGES_WITH_SECRETS else None, form=form, **context)
