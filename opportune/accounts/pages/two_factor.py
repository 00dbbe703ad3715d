"""The second factor: an authenticator app, and codes to recover."""

from collections.abc import Awaitable
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts.current import CurrentUser
from opportune.accounts.schemas import TwoFactorCredentials, TwoFactorEnable, TwoFactorStart
from opportune.accounts.two_factor import totp
from opportune.accounts.two_factor.setup import InvalidState, TwoFactorDependency, WrongCredential
from opportune.db.sessions.dependencies import ReadSession
from opportune.web.forms.forms import Form, read_form
from opportune.web.middleware.compression import SECRET_HEADERS
from opportune.web.rendering.flash import flash
from opportune.web.rendering.templates import templates

HERE = "/accounts/two-factor"
SHOW_SECRETS = ("two_factor_begin", "two_factor_codes")

T = TypeVar("T")

router = APIRouter(prefix="/accounts/two-factor")


@router.get("")
async def show_factor(request: Request, user: CurrentUser, session: ReadSession) -> Response:
    left = await totp.count_recovery_codes(session, user)
    missing = totp.setup_is_required(request.app.state.settings, user)
    return _page(request, "two_factor", Form(TwoFactorStart), left=left, is_missing=missing)


@router.post("")
async def begin(request: Request, factor: TwoFactorDependency) -> Response:
    form = await read_form(request, TwoFactorStart)
    beginning = await _try(form, factor.begin(form.data.password)) if form.data else None
    if not beginning:
        return _page(request, "two_factor", form, left=0, is_missing=False) if form.errors else _back()
    return _page(request, "two_factor_begin", Form(TwoFactorEnable, beginning), beginning=beginning)


@router.post("/confirm")
async def confirm(request: Request, factor: TwoFactorDependency) -> Response:
    form = await read_form(request, TwoFactorEnable)
    codes = await _try(form, factor.confirm(form.data.sealed, form.data.code)) if form.data else None
    if codes:
        return _page(request, "two_factor_codes", form, codes=codes, is_new=True)
    try:
        beginning = factor.begun(form.value("sealed"))
    except InvalidState:
        return _back()
    return _page(request, "two_factor_begin", form, beginning=beginning)


@router.get("/codes")
async def show_renewal(request: Request, user: CurrentUser) -> Response:
    return (
        _page(request, "two_factor_prove", Form(TwoFactorCredentials), to="codes") if user.has_two_factor else _back()
    )


@router.post("/codes")
async def renew_codes(request: Request, factor: TwoFactorDependency) -> Response:
    form = await read_form(request, TwoFactorCredentials)
    codes = await _try(form, factor.renew_codes(form.data.password, form.data.code)) if form.data else None
    if codes:
        return _page(request, "two_factor_codes", form, codes=codes, is_new=False)
    return _page(request, "two_factor_prove", form, to="codes") if form.errors else _back()


@router.get("/off")
async def show_turning_off(request: Request, user: CurrentUser) -> Response:
    return _page(request, "two_factor_prove", Form(TwoFactorCredentials), to="off") if user.has_two_factor else _back()


@router.post("/off")
async def turn_off(request: Request, factor: TwoFactorDependency) -> Response:
    form = await read_form(request, TwoFactorCredentials)
    if form.data:
        await _try(form, _turn_off(request, factor, form.data))
    return _page(request, "two_factor_prove", form, to="off") if form.errors else _back()


async def _turn_off(request: Request, factor: TwoFactorDependency, proof: TwoFactorCredentials) -> None:
    await factor.turn_off(proof.password, proof.code)
    flash(request, "Two-factor authentication is off.")


async def _try(form: Form[Any], change: Awaitable[T]) -> T | None:
    """The outcome, or None: with what is wrong in the form, or nothing there if it cannot be done as things are."""
    try:
        return await change
    except WrongCredential as refusal:
        form.refuse(refusal.words, refusal.field)
    except InvalidState:
        pass  # somebody has done it elsewhere in the meantime: the page that is shown tells how it is
    return None


def _back() -> Response:
    return RedirectResponse(HERE, 303)


def _page(request: Request, name: str, form: Form[Any], **context: Any) -> Response:
    response = templates.render(request, f"accounts/{name}.html", {"form": form, **context}, form.status)
    response.headers.update(SECRET_HEADERS if name in SHOW_SECRETS else {})
    return response
