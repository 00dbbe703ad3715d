"""The user of a request: `OptionalUser` and `CurrentUser` for routes, `get_optional_user` for other code."""

from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from opportune.accounts.events.impersonated_changes import record_changes, stop_recording
from opportune.accounts.models import ApiToken, Session, User
from opportune.accounts.sessions.cookies import read_session_token
from opportune.accounts.sessions.last_seen import LastSeen
from opportune.accounts.sessions.lookup import Grants, find_by_token, find_impersonator
from opportune.accounts.sign_in_methods.second_factor import setup_is_required
from opportune.accounts.tokens.bearer import AUTHENTICATE_HEADER, oauth2_scheme, read_bearer_token
from opportune.accounts.tokens.dependencies import needed_by, require_scopes
from opportune.accounts.tokens.factory import token_strategy
from opportune.accounts.tokens.scopes import register_scopes
from opportune.accounts.tokens.strategies import TokenStrategy
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.lookup import REQUEST_KEY
from opportune.db.database import Database
from opportune.db.sessions.dependencies import WriteSession
from opportune.web.client import Client
from opportune.web.errors.handlers import wants_json
from opportune.web.rendering.templates import is_htmx

LOGIN_PATH = "/accounts/login"
SIGN_IN_FIRST = "Sign in first."

PERSONAL_PATHS = ("/accounts/", "/api/v1/auth/", "/api/v1/users/me")
OPEN_PATHS = {
    *("/accounts/profile", "/accounts/sessions", "/accounts/events"),
    *("/api/v1/users/me", "/api/v1/users/me/sessions", "/api/v1/users/me/events"),
}
"""Pages that a superuser may open while signed in as a user."""
PERSONAL = "Only the user can do this. You are signed in as another user. Go back to your own account first."
IMPERSONATION_END_PATHS = ("/accounts/impersonation/end", "/accounts/logout", "/api/v1/auth/logout")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
READ_ONLY = (
    "You are signed in as another user and cannot change anything. To make changes, go back to your own account and"
    " sign in as this user again, with changes allowed."
)


SECOND_FACTOR_SETUP_PATH = "/accounts/two-factor"
SECOND_FACTOR_PATHS = (
    *("/accounts/two-factor", "/accounts/passkeys", "/accounts/confirm", "/accounts/password"),
    *("/api/v1/auth/", "/api/v1/users/me/two-factor", "/api/v1/users/me/passkeys", "/api/v1/users/me/confirmation"),
)
"""Addresses that a user needs to set up a second factor, and to confirm their identity for that."""
NO_SECOND_FACTOR = f"Set up a second factor first, at {SECOND_FACTOR_SETUP_PATH}."


async def get_optional_user(request: HTTPConnection) -> User | None:
    """Return the active user of the request, loaded once per request; also at `request.state.user`.

    On `request.state`, `session` is the session of the browser, or None; `token` the API token, or None; `grants` the
    user's grants; `impersonator` the superuser who impersonates this user, or None.
    Pages identify users by the session cookie. Addresses below /api also accept a bearer token, which takes precedence.
    The user belongs to no database session: call `session.add(user)` in a `WriteSession` before changing it.
    """
    if not hasattr(request.state, "user"):
        request.state.user = await _read_user(request)
        _guard_impersonation(request)
    user: User | None = request.state.user
    return user


def _guard_impersonation(request: HTTPConnection) -> None:
    """Refuse changes by a superuser who may only read, and record those of others. Raises HTTPException."""
    if request.state.impersonator is None:
        stop_recording()
        return
    if request.state.session.impersonator_may_write:
        record_changes(request.state.user, request.state.impersonator)
        return
    scope = request.scope  # a WebSocket has no method
    if scope.get("method") not in SAFE_METHODS and scope["path"] not in IMPERSONATION_END_PATHS:
        raise HTTPException(403, PERSONAL if _is_personal(request) else READ_ONLY)


async def _read_user(request: HTTPConnection) -> User | None:
    request.state.session = request.state.token = request.state.impersonator = None
    request.state.grants = frozenset()
    database: Database = request.app.state.database
    by_bearer = read_bearer_token(request) if request.scope["path"].startswith("/api/") else None
    found: tuple[Session, User, Grants] | tuple[ApiToken, User, Grants] | None = None
    if by_bearer is not None:
        found = await token_strategy(request.app.state.settings, database).find(by_bearer)
    elif token := read_session_token(request):
        found = await find_by_token(database, Session, token)
    if found is None:
        return None
    row, user, grants = found
    if isinstance(row, ApiToken):
        require_scopes(row.scopes, needed_by(request))
    elif row.impersonator_session_id is not None:
        request.state.impersonator = await find_impersonator(database, row, user)
        if request.state.impersonator is None:
            return None
    request.state.grants = grants
    request.state.session = row if isinstance(row, Session) else None
    request.state.token = row if isinstance(row, ApiToken) else None
    _note_use(request, row)
    return user


async def read_program(request: Request, *strategies: TokenStrategy) -> tuple[ApiToken, User, Grants] | None:
    """Return the token of a program and its user, for addresses outside /api that check scopes themselves.

    `strategies` accept further types of tokens, and are tried first.
    """
    token, state = read_bearer_token(request), request.app.state
    for strategy in (*strategies, token_strategy(state.settings, state.database)) if token else ():
        if found := await strategy.find(str(token)):
            _note_use(request, found[0])
            return found
    return None


def _note_use(request: HTTPConnection, row: Session | ApiToken) -> None:
    last_seen: LastSeen = request.app.state.last_seen
    if last_seen.is_due(row):
        last_seen.note(row, Client.of(request))


OptionalUser = Annotated[User | None, Depends(get_optional_user)]


NO_SCOPES = SecurityScopes()


class CurrentUserScheme(SecurityBase):
    """The dependency and its security scheme in OpenAPI, so that FastAPI analyses one object instead of three."""

    model, scheme_name = oauth2_scheme.model, oauth2_scheme.scheme_name

    async def __call__(self, request: HTTPConnection, needed: SecurityScopes = NO_SCOPES) -> User:
        user = await get_optional_user(request)
        if user is None:
            raise sign_in_required(request)
        if needed.scopes and request.state.token:
            require_scopes(request.state.token.scopes, needed.scopes)
        if request.state.impersonator is not None and _is_personal(request):
            raise HTTPException(403, PERSONAL)
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
        raise redirect_error(request, SECOND_FACTOR_SETUP_PATH, HTTPException(403, NO_SECOND_FACTOR))


def _is_personal(request: HTTPConnection) -> bool:
    """Return whether only the user may open this address: all of the account, except for a few pages.

    New addresses below these prefixes are protected automatically.
    """
    path, method = request.scope["path"], request.scope.get("method")
    return path.startswith(PERSONAL_PATHS) and not (path in OPEN_PATHS and method in ("GET", "HEAD"))


get_current_user = CurrentUserScheme()
CurrentUser = Annotated[User, Depends(get_current_user)]


async def get_account_owner(request: HTTPConnection, user: CurrentUser) -> User:
    if request.state.impersonator is not None:
        raise HTTPException(403, PERSONAL)
    return user


AccountOwner = Annotated[User, Depends(get_account_owner)]
"""The current user, except during an impersonation: for changes that give lasting access."""


def needs_scope(*scopes: str) -> Any:
    """Require scopes of a token instead of the default: `dependencies=[needs_scope("books:read")]`.

    It also works in a signature: `user: Annotated[User, needs_scope("books:export")]`. It is FastAPI's `Security` with
    `get_current_user`, and users can select the scopes for a new token.

    Raises:
        OperatorError: a scope does not name its subject.
    """
    register_scopes(scopes)
    return Security(get_current_user, scopes=scopes)


async def get_impersonator(request: HTTPConnection) -> User | None:
    await get_optional_user(request)
    impersonator: User | None = request.state.impersonator
    return impersonator


CurrentImpersonator = Annotated[User | None, Depends(get_impersonator)]
"""The superuser who impersonates the user of this request, or None."""


def account_context(request: Request, session: AsyncSession) -> AccountContext:
    """Return the context that services receive instead of the request."""
    state = request.app.state
    session.info[REQUEST_KEY] = request
    return AccountContext(session, state.settings, state.rate_limiter, Client.of(request))


async def get_account_context(request: Request, session: WriteSession) -> AccountContext:
    return account_context(request, session)


AccountCtx = Annotated[AccountContext, Depends(get_account_context)]


def sign_in_required(request: HTTPConnection) -> HTTPException:
    """Return the error for anonymous users: a redirect to the sign-in page, or 401 for programs and WebSockets."""
    error = HTTPException(401, SIGN_IN_FIRST, AUTHENTICATE_HEADER)
    return redirect_error(request, f"{LOGIN_PATH}?{urlencode({'next': return_path(request)})}", error)


def redirect_error(request: HTTPConnection, address: str, error: HTTPException) -> HTTPException:
    """Return an error that leads browsers to a page; `error` for programs and WebSockets."""
    if not isinstance(request, Request) or wants_json(request):
        return error
    if is_htmx(request):  # htmx would insert that page into a part of this page
        return HTTPException(error.status_code, headers={"HX-Redirect": address})
    return HTTPException(303, headers={"Location": address})


def return_path(request: HTTPConnection) -> str:
    """Return the page to come back to: this page in a browser, else the page of the form or script."""
    is_page = isinstance(request, Request) and request.method == "GET" and not is_htmx(request)
    page = str(request.url) if is_page else None
    try:
        parts = urlsplit(page or request.headers.get("hx-current-url") or request.headers.get("referer") or "/")
    except ValueError:  # the header is invalid
        return "/"
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
