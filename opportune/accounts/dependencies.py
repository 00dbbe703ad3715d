"""The user of a request: `OptionalUser` and `CurrentUser` for routes, `get_optional_user` for other code."""

from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from opportune.accounts.events.impersonated_changes import record_changes, stop_recording
from opportune.accounts.kept_forms import load_kept_form
from opportune.accounts.models import ApiToken, Session, User
from opportune.accounts.request_credentials import find_credential, record_use
from opportune.accounts.sessions.lookup import find_impersonator
from opportune.accounts.sign_in_methods.available import email_sign_in_is_offered
from opportune.accounts.sign_in_methods.second_factor import setup_is_required
from opportune.accounts.sign_in_redirects import find_return_path, make_redirect_error, make_sign_in_error
from opportune.accounts.tokens.dependencies import get_request_scopes, oauth2_scheme, require_scopes
from opportune.accounts.tokens.scopes import require_valid_scopes
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.queries import REQUEST_KEY
from opportune.db.sessions.dependencies import WriteSession, on_site
from opportune.errors import NotFound
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.languages import current_language
from opportune.web.client import Client
from opportune.web.forms.hidden_fields import submitted_mark, user_marks
from opportune.web.language import PREFIX_KEY, offered_languages
from opportune.web.middleware.origins import SAFE_METHODS
from opportune.web.redirects import safe_redirect_path
from opportune.web.rendering.templates import is_htmx

OTHER_USER = _l("This form was opened by another user, and you are signed in now. Load the page again.")

PERSONAL_PATHS = ("/accounts/", "/api/v1/auth/", "/api/v1/users/me")
IMPERSONATOR_PATHS = {
    "/accounts/profile",
    "/accounts/sessions",
    "/accounts/events",
    "/api/v1/users/me",
    "/api/v1/users/me/sessions",
    "/api/v1/users/me/events",
}
"""Personal pages that a superuser may open while signed in as a user."""
OWNER_ONLY = _l("Only the user can do this. You are signed in as another user. Go back to your own account first.")
IMPERSONATION_END_PATHS = ("/accounts/impersonation/end", "/accounts/logout", "/api/v1/auth/logout")
READ_ONLY = _l(
    "You are signed in as another user and cannot change anything. To make changes, go back to your own account and"
    " sign in as this user again, with changes allowed."
)


SECOND_FACTOR_SETUP_PATH = "/accounts/two-factor"
SECOND_FACTOR_PATHS = (
    "/accounts/two-factor",
    "/accounts/passkeys",
    "/accounts/confirm",
    "/accounts/password",
    "/api/v1/auth/",
    "/api/v1/users/me/two-factor",
    "/api/v1/users/me/passkeys",
    "/api/v1/users/me/confirmation",
)
"""URLs that stay open for a user who must set up a second factor first."""
NO_SECOND_FACTOR = _l("Set up a second factor first, at /accounts/two-factor.")

NO_SCOPES = SecurityScopes()


async def get_optional_user(request: HTTPConnection) -> User | None:
    """Return the active user of the request, or None. The user is loaded once per request.

    Pages identify users by the session cookie. URLs below /api also accept a bearer token, which takes precedence.
    The user does not belong to a database session: call `session.add(user)` in a `WriteSession` before changing it.

    The call sets these attributes of `request.state`: `user`, `session` (of the browser), `token` (the API token) and
    `impersonator` (the superuser who is signed in as this user) may be None. `permissions` are those of the user.
    """
    state = request.state
    if hasattr(state, "user"):
        loaded: User | None = state.user
        return loaded
    request = on_site(request)
    state.user = user = await _read_user(request)
    _use_language_of_user(request, user)
    _require_same_user(request, user)
    _guard_impersonation(request)
    await load_kept_form(request, user)
    return user


def _use_language_of_user(request: HTTPConnection, user: User | None) -> None:
    """Continue in the language of the user's profile, if the site offers it and the URL selects none."""
    if PREFIX_KEY in request.scope:
        return
    if user and user.language and user.language in offered_languages(request.app.state.settings):
        current_language.set(user.language)


def _require_same_user(request: HTTPConnection, user: User | None) -> None:
    """Refuse a form that was rendered for another user. Its page shows the text again. Raises HTTPException."""
    mark = "" if request.scope.get("method") in SAFE_METHODS or request.state.token else submitted_mark(request)
    if not mark:
        return
    if user is None:
        raise make_sign_in_error(request)
    if mark not in user_marks(request.app.state.settings, user.id):
        page = safe_redirect_path(find_return_path(request))
        raise make_redirect_error(request, page, HTTPException(409, OTHER_USER), has_form=True)


def _guard_impersonation(request: HTTPConnection) -> None:
    """Refuse or record changes by a superuser who is signed in as another user. Raises HTTPException."""
    state = request.state
    if state.impersonator is None:
        stop_recording()
        return
    if state.session.impersonator_may_write:
        record_changes(state.user, state.impersonator)
        return
    scope = request.scope  # a WebSocket has no method
    if scope.get("method") not in SAFE_METHODS and scope["path"] not in IMPERSONATION_END_PATHS:
        raise HTTPException(403, OWNER_ONLY if _is_personal(request) else READ_ONLY)


async def _read_user(request: HTTPConnection) -> User | None:
    state = request.state
    state.session = state.token = state.impersonator = None
    state.permissions = frozenset()
    match = await find_credential(request)
    if match is None:
        return None
    row, user, permissions = match
    if isinstance(row, ApiToken):
        require_scopes(row.scopes, get_request_scopes(request))
    elif row.impersonator_session_id is not None:
        state.impersonator = await find_impersonator(request.app.state.database, row, user)
        if state.impersonator is None:
            return None
    state.permissions = permissions
    state.session = row if isinstance(row, Session) else None
    state.token = row if isinstance(row, ApiToken) else None
    record_use(request, row)
    return user


OptionalUser = Annotated[User | None, Depends(get_optional_user)]


class CurrentUserScheme(SecurityBase):
    """Dependency and OpenAPI security scheme in one object, because FastAPI analyses it faster than three objects."""

    model, scheme_name = oauth2_scheme.model, oauth2_scheme.scheme_name

    async def __call__(self, request: HTTPConnection, needed: SecurityScopes = NO_SCOPES) -> User:
        user = await get_optional_user(request)
        request = on_site(request)
        if user is None:
            raise make_sign_in_error(request)
        if needed.scopes and request.state.token:
            require_scopes(request.state.token.scopes, needed.scopes)
        if request.state.impersonator is not None and _is_personal(request):
            raise HTTPException(403, OWNER_ONLY)
        await _require_second_factor(request, user)
        return user


async def _require_second_factor(request: HTTPConnection, user: User) -> None:
    """Redirect a user without a second factor to its setup, if the site requires one. Raises HTTPException."""
    state = request.app.state
    if state.settings.needs_second_factor != "all" or request.state.impersonator is not None:
        return
    if request.scope["path"].startswith(SECOND_FACTOR_PATHS):
        return
    if await setup_is_required(state.database, state.settings, user):
        if _is_part_of_setup_page(request):
            raise HTTPException(204)
        error = HTTPException(403, NO_SECOND_FACTOR)
        raise make_redirect_error(request, SECOND_FACTOR_SETUP_PATH, error, has_form=True)


def _is_part_of_setup_page(request: HTTPConnection) -> bool:
    """Return whether a setup page loads this part, such as a menu. A redirect would load the page again without end."""
    is_part = isinstance(request, Request) and request.method in SAFE_METHODS and is_htmx(request)
    return is_part and find_return_path(request).startswith(SECOND_FACTOR_PATHS)


def _is_personal(request: HTTPConnection) -> bool:
    """Return whether this URL is closed to a superuser who is signed in as the user.

    New URLs below these prefixes are protected automatically.
    """
    path, method = request.scope["path"], request.scope.get("method")
    return path.startswith(PERSONAL_PATHS) and not (path in IMPERSONATOR_PATHS and method in ("GET", "HEAD"))


get_current_user = CurrentUserScheme()
CurrentUser = Annotated[User, Depends(get_current_user)]


async def get_account_owner(request: HTTPConnection, user: CurrentUser) -> User:
    if request.state.impersonator is not None:
        raise HTTPException(403, OWNER_ONLY)
    return user


AccountOwner = Annotated[User, Depends(get_account_owner)]
"""The current user, except during an impersonation: for changes that give lasting access."""


def needs_scope(*scopes: str) -> Any:
    """Require scopes of a token instead of the default: `dependencies=[needs_scope("books:read")]`.

    It also works in a signature: `user: Annotated[User, needs_scope("books:export")]`. Users can select these scopes
    when they create a token.

    Args:
        scopes: Scopes that a token needs, such as `books:export`. Browser sessions have all scopes.

    Returns:
        FastAPI's `Security` with `get_current_user`.

    Raises:
        OperatorError: a scope has no prefix, such as `export` instead of `books:export`.
    """
    require_valid_scopes(scopes)
    return Security(get_current_user, scopes=scopes)


async def get_impersonator(request: HTTPConnection) -> User | None:
    await get_optional_user(request)
    impersonator: User | None = request.state.impersonator
    return impersonator


CurrentImpersonator = Annotated[User | None, Depends(get_impersonator)]
"""The superuser who impersonates the user of this request, or None."""


def make_account_context(request: Request, session: AsyncSession) -> AccountContext:
    """Return the context that services receive instead of the request."""
    state = on_site(request).app.state
    session.info[REQUEST_KEY] = request
    return AccountContext(session, state.settings, state.rate_limiter, Client.of(request))


async def get_account_context(request: Request, session: WriteSession) -> AccountContext:
    return make_account_context(request, session)


AccountCtx = Annotated[AccountContext, Depends(get_account_context)]


async def require_email_sign_in(request: Request) -> None:
    """Raise NotFound if the site does not offer sign-in by e-mail."""
    if not email_sign_in_is_offered(request.app.state.settings):
        raise NotFound
