"""Pages of a user's passkeys, and the WebAuthn options that a script passes to the device."""

from fastapi import Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from opportune.accounts import responses
from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.models import User
from opportune.accounts.reauthentication import ConfirmedUser
from opportune.accounts.schemas import PasskeyCreate, PasskeyRequest, PasskeySignIn, PasskeyUpdate
from opportune.accounts.sign_in_methods import passkeys
from opportune.accounts.sign_in_methods.passkey_requests import PATH, get_passkey_ceremonies, start_ceremonies
from opportune.accounts.sign_in_methods.second_factor import count_recovery_codes
from opportune.accounts.sign_in_methods.webauthn import PasskeyRefused, Purpose
from opportune.accounts.sign_in_redirects import LOGIN_PATH
from opportune.accounts.users.context import AccountContext
from opportune.db.models.row_ids import RowId
from opportune.i18n import gettext_lazy as _l
from opportune.web.client import describe_user_agent
from opportune.web.forms.forms import Form, read_form
from opportune.web.middleware.compression import SECRET_HEADERS
from opportune.web.redirects import with_next
from opportune.web.rendering.flash import flash
from opportune.web.routing.api_router import APIRouter

ADDED = _l("Your passkey is added. From now on you can sign in with it.")

router = APIRouter(prefix="/accounts")


@router.post("/login/passkey/options")
async def create_sign_in_options(request: Request, context: AccountCtx) -> Response:
    """Return the WebAuthn options for a sign-in by passkey, alone or after the password."""
    form = await read_form(request, PasskeyRequest)
    if not (form.data and form.data.purpose == "second-step"):
        return await _options_response(request, context, None, "sign-in")
    pending = await responses.read_pending_sign_in(request, context.session)
    if pending is None:
        return Response(status_code=204)
    return await _options_response(request, context, pending.user, "second-step")


@router.post("/login/passkey")
async def sign_in(request: Request, context: AccountCtx) -> Response:
    """Sign in by a passkey without a password. Its device verifies the user, so it counts as both factors."""
    form = await read_form(request, PasskeySignIn)
    data = form.data or PasskeySignIn()
    path = responses.next_page(request, form)
    try:
        user = await get_passkey_ceremonies(request, context).authenticate("sign-in", data.passkey)
    except PasskeyRefused as refusal:
        return responses.redirect_with_error(request, with_next(LOGIN_PATH, path), refusal)
    return await responses.sign_in_redirect(request, context.session, user, path, remember=data.remember)


@router.post("/login/code/passkey")
async def check_second_step(request: Request, context: AccountCtx) -> Response:
    """Sign in by a passkey after the password, instead of a code."""
    form = await read_form(request, PasskeySignIn)
    pending = await responses.read_pending_sign_in(request, context.session)
    if pending is None:
        return RedirectResponse(LOGIN_PATH, 303)
    user, options = pending
    try:
        assertion = form.data.passkey if form.data else ""
        user = await get_passkey_ceremonies(request, context, user).authenticate("second-step", assertion)
    except PasskeyRefused as refusal:
        return responses.redirect_with_error(request, responses.CODE_PATH, refusal)
    return await responses.finish_second_step(request, context, user, options)


@router.post("/passkeys/options")
async def create_options(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    """Return the WebAuthn options for the signed-in user to add a passkey or to confirm their identity."""
    form = await read_form(request, PasskeyRequest)
    purpose: Purpose = "add" if form.data and form.data.purpose == "add" else "confirm"
    return await _options_response(request, context, user, purpose)


@router.get("/passkeys")
async def list_passkeys(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    return await _show_list(request, context, user)


@router.get("/passkeys/add")
async def create_form(request: Request, user: ConfirmedUser) -> Response:
    initial = {"name": describe_user_agent(request.headers.get("user-agent", ""))}
    return responses.show(request, "passkey_create", form=Form(PasskeyCreate, initial))


@router.post("/passkeys/add")
async def create(request: Request, user: ConfirmedUser, context: AccountCtx) -> Response:
    form = await read_form(request, PasskeyCreate)
    if form.data:
        try:
            ceremonies = get_passkey_ceremonies(request, context, user)
            codes = await ceremonies.add(user, form.data.passkey, form.data.name)
        except PasskeyRefused as refusal:
            form.refuse(str(refusal))
        else:
            if not codes:
                return responses.redirect_with_message(request, PATH, ADDED)
            flash(request, ADDED)
            values = {"codes": codes, "is_new": True, "done_path": PATH}
            return responses.show(request, "two_factor_codes", headers=SECRET_HEADERS, **values)
    return responses.show(request, "passkey_create", form=form)


@router.post("/passkeys/{passkey_id}/rename")
async def update(request: Request, passkey_id: RowId, user: CurrentUser, context: AccountCtx) -> Response:
    form = await read_form(request, PasskeyUpdate)
    if form.data is None:
        return await _show_list(request, context, user, form)
    await passkeys.update_passkey(context.session, user, passkey_id, form.data.name)
    return responses.redirect_with_message(request, PATH, "The passkey is renamed.")


@router.post("/passkeys/{passkey_id}/remove")
async def delete(request: Request, passkey_id: RowId, user: ConfirmedUser, context: AccountCtx) -> Response:
    try:
        await passkeys.delete_passkey(context, user, passkey_id)
    except PasskeyRefused as refusal:
        return responses.redirect_with_error(request, PATH, refusal)
    return responses.redirect_with_message(request, PATH, "That passkey is removed. Also remove it from your device.")


async def _show_list(
    request: Request, context: AccountContext, user: User, form: Form[PasskeyUpdate] | None = None
) -> Response:
    rows = await passkeys.find_passkeys(context.session, user)
    codes_left = await count_recovery_codes(context.session, user)
    problem = ""
    try:
        get_passkey_ceremonies(request, context, user)
    except PasskeyRefused as refusal:
        problem = str(refusal)
    return responses.show(request, "passkeys", passkeys=rows, codes_left=codes_left, problem=problem, form=form)


async def _options_response(request: Request, context: AccountContext, user: User | None, purpose: Purpose) -> Response:
    """Return the options as JSON. If no passkey can be used, return 204 and the script hides the button."""
    try:
        options = await start_ceremonies(request, context, user).create_options(purpose)
    except PasskeyRefused:
        return Response(status_code=204)
    return JSONResponse({"publicKey": options.options, "state": options.state})
