"""Pages to sign in with an account of another site, and to link such accounts."""

from typing import Annotated

from fastapi import Depends, Request, Response

from opportune.accounts.dependencies import AccountCtx, CurrentUser, OptionalUser
from opportune.accounts.flows import social_sign_in
from opportune.accounts.flows.social_sign_in import AuthRequest
from opportune.accounts.models import User
from opportune.accounts.pages.profile import PROFILE_PATH, show_profile
from opportune.accounts.reauthentication import ConfirmedUser, reauthenticated
from opportune.accounts.responses import finish_first_step, next_page, redirect_with_error, redirect_with_message, show
from opportune.accounts.schemas import EmailUpdate, LinkRequest, SocialSignIn
from opportune.accounts.sessions.cookies import PageCookie
from opportune.accounts.sign_in_methods.providers import (
    SOCIAL_PATH,
    Identity,
    Provider,
    SocialSignInRefused,
    find_provider,
)
from opportune.accounts.sign_in_redirects import LOGIN_PATH
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import AccountLinkedError
from opportune.accounts.users.schemas import UserUpdate
from opportune.db.models.row_ids import RowId
from opportune.errors import require_found
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.web.forms.forms import Form, read_form
from opportune.web.language import url
from opportune.web.redirects import with_next
from opportune.web.rendering.flash import flash
from opportune.web.routing.api_router import APIRouter

SIGN_IN_EXPIRED = _l("This sign-in was not started in this browser, or has expired. Please try again.")
COOKIE = PageCookie("social", SOCIAL_PATH, social_sign_in.LIFETIME_SECONDS)
"""The encrypted `AuthRequest`, while the user is at the provider."""

router = APIRouter(prefix="/accounts")


async def get_provider(request: Request, provider: str) -> Provider:
    return require_found(find_provider(request.app.state.settings, provider))


NamedProvider = Annotated[Provider, Depends(get_provider)]


@router.post("/social/{provider}")
async def start(request: Request, provider: NamedProvider, context: AccountCtx) -> Response:
    """Redirect to the provider. CSRF protection prevents another site from starting a sign-in."""
    form = await read_form(request, SocialSignIn)
    remember = form.data is not None and form.data.remember
    # The provider returns the user to a URL without a language.
    next_path = url(next_page(request, form))
    auth_request = social_sign_in.create_request(provider, next_path, remember=remember)
    return await _redirect_to_provider(request, context, provider, auth_request)


@router.get("/social/{provider}/callback")
async def callback(request: Request, provider: NamedProvider, user: OptionalUser, context: AccountCtx) -> Response:
    """Handle the redirect of a provider: sign in the user, or link their account."""
    state = request.query_params.get("state", "")
    auth_request = social_sign_in.read_request(request.app.state.settings, provider, COOKIE.read(request), state)
    try:
        response = await _finish_callback(request, context, provider, auth_request, user)
    except SocialSignInRefused as refusal:
        context.log_refused_sign_in(provider.name, user)
        page = PROFILE_PATH if user else with_next(LOGIN_PATH, auth_request.next if auth_request else "/")
        response = redirect_with_error(request, page, refusal)
    COOKIE.delete(request, response)
    return response


@router.post("/profile/linked-accounts")
async def start_linking(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    form = await read_form(request, LinkRequest)
    provider = require_found(find_provider(request.app.state.settings, form.data.provider) if form.data else None)
    if not await reauthenticated(context, user, form):
        return await show_profile(request, user, Form(UserUpdate, user), Form(EmailUpdate), form)
    auth_request = social_sign_in.create_request(provider, PROFILE_PATH, user_id=user.id)
    return await _redirect_to_provider(request, context, provider, auth_request)


@router.post("/profile/linked-accounts/{account_id}/unlink")
async def unlink(request: Request, account_id: RowId, user: ConfirmedUser, context: AccountCtx) -> Response:
    try:
        await social_sign_in.unlink(context, user, account_id)
    except SocialSignInRefused as refusal:
        return redirect_with_error(request, PROFILE_PATH, refusal)
    return redirect_with_message(request, PROFILE_PATH, "That account is no longer linked.")


async def _redirect_to_provider(
    request: Request, context: AccountContext, provider: Provider, auth_request: AuthRequest
) -> Response:
    """Return a page that redirects automatically, because `form-action` of the CSP forbids redirects to other sites."""
    await context.limiter.hit(social_sign_in.STARTS_PER_IP.by(context.client.address))
    try:
        provider_url = await social_sign_in.authorization_url(context.settings, provider, auth_request)
    except SocialSignInRefused as refusal:
        page = PROFILE_PATH if auth_request.user_id else with_next(LOGIN_PATH, auth_request.next)
        return redirect_with_error(request, page, refusal)
    headers = {"Cache-Control": "no-store"}
    response = show(request, "to_provider", headers=headers, label=provider.label, provider_url=provider_url)
    COOKIE.set(request, response, social_sign_in.seal_request(context.settings, auth_request))
    return response


async def _finish_callback(
    request: Request, context: AccountContext, provider: Provider, auth_request: AuthRequest | None, user: User | None
) -> Response:
    """Check the response of the provider, then sign in the user or link the account.

    Raises:
        SocialSignInRefused: The sign-in or linking is refused; the message is for the user.
        TooManyRequests: There were too many failures.
    """
    # Count a failure now. It is refunded on success.
    failure = social_sign_in.FAILURES_PER_IP.by(context.client.address)
    await context.limiter.hit(failure)
    if auth_request is None or not await context.is_first_use(social_sign_in.STATES.by(auth_request.state)):
        raise SocialSignInRefused(SIGN_IN_EXPIRED)
    identity = await _read_identity(request, provider, auth_request)
    if auth_request.user_id:
        if user is None or user.id != auth_request.user_id:
            raise SocialSignInRefused(SIGN_IN_EXPIRED)
        try:
            await social_sign_in.link(context, provider, identity, user)
        except AccountLinkedError:  # by a concurrent request
            raise SocialSignInRefused(SIGN_IN_EXPIRED) from None
        message = gettext("You can now sign in with your account at %(label)s.", label=provider.label)
        response = redirect_with_message(request, PROFILE_PATH, message)
    else:
        user = await social_sign_in.find_user(context, identity)
        if user is None:
            user = await social_sign_in.register(context, provider, identity)
            flash(request, "Welcome! Your account was created, and you are signed in.")
        response = await finish_first_step(request, context, user, auth_request.next, remember=auth_request.remember)
    await context.limiter.refund(context.session, failure)
    return response


async def _read_identity(request: Request, provider: Provider, auth_request: AuthRequest) -> Identity:
    query = request.query_params
    if query.get("error") or not query.get("code"):
        raise SocialSignInRefused(gettext("You were not signed in at %(label)s.", label=provider.label))
    issuer = query.get("iss")
    return await social_sign_in.read_identity(request.app.state.settings, provider, auth_request, query["code"], issuer)
