"""The user of a request: `OptionalUser` and `CurrentUser` for routes, `get_optional_user` for other code."""

from typing import Annotated, Any, cast

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from opportune.accounts import request_rules
from opportune.accounts.kept_forms import load_kept_form
from opportune.accounts.models import ApiToken, User
from opportune.accounts.request_credentials import find_credential, record_use
from opportune.accounts.sessions.lookup import find_impersonator
from opportune.accounts.sign_in_methods.available import email_sign_in_is_offered
from opportune.accounts.sign_in_redirects import make_sign_in_error
from opportune.accounts.tokens.dependencies import get_request_scopes, oauth2_scheme, require_scopes
from opportune.accounts.tokens.scopes import require_valid_scopes
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.queries import REQUEST_KEY
from opportune.db.sessions.dependencies import WriteSession, on_site
from opportune.errors import NotFound
from opportune.i18n.languages import current_language
from opportune.web.client import Client
from opportune.web.language import PREFIX_KEY, offered_languages

NO_SCOPES = SecurityScopes()


async def get_optional_user(request: HTTPConnection) -> User | None:
    """Return the active user of the request, or None. The user is loaded and checked once per request.

    The first call also switches to the user's language, and finds the texts of a form that was interrupted.

    Pages identify users by the session cookie. URLs below /api also accept a bearer token, which takes precedence.
    The user does not belong to a database session: call `session.add(user)` in a `WriteSession` before changing it.

    The call sets these attributes of `request.state`: `user`, `session` (of the browser), `token` (the API token) and
    `impersonator` (the superuser who is signed in as this user) may be None. `permissions` are those of the user.

    Raises:
        HTTPException: The form is of another user, or an impersonator may not make this request. Later calls for the
            same request raise it again.
    """
    state: dict[str, Any] = request.scope.setdefault("state", {})  # `request.state` takes four calls
    if "user" in state:
        if refusal := state.get("user_refusal"):
            raise refusal
        return cast("User | None", state["user"])
    request = on_site(request)
    state["user"] = user = await _read_user(request)
    _use_language_of_user(request, user)
    try:
        request_rules.require_same_user(request, user)
        request_rules.guard_impersonation(request)
    except HTTPException as refusal:  # its page shows `state.user`
        state["user_refusal"] = refusal
        raise
    await load_kept_form(request, user)
    return user


def _use_language_of_user(request: HTTPConnection, user: User | None) -> None:
    """Continue in the language of the user's profile, if the site offers it and the URL selects none."""
    if PREFIX_KEY in request.scope:
        return
    if user and user.language and user.language in offered_languages(request.app.state.settings):
        current_language.set(user.language)


async def _read_user(request: HTTPConnection) -> User | None:
    request.scope["state"].update(session=None, token=None, impersonator=None, permissions=frozenset())
    match = await find_credential(request)
    if match is None:
        return None
    row, user, permissions = match
    if isinstance(row, ApiToken):
        require_scopes(row.scopes, get_request_scopes(request))
        request.state.token = row
    else:
        if row.is_impersonation:
            request.state.impersonator = await find_impersonator(request.app.state.database, row, user)
            if request.state.impersonator is None:
                return None
        request.state.session = row
    request.state.permissions = permissions
    record_use(request, row)
    return user


OptionalUser = Annotated[User | None, Depends(get_optional_user)]


class CurrentUserScheme(SecurityBase):
    """Dependency and OpenAPI security scheme in one object, because FastAPI analyses it faster than three objects."""

    model = oauth2_scheme.model
    scheme_name = oauth2_scheme.scheme_name

    async def __call__(self, request: HTTPConnection, needed: SecurityScopes = NO_SCOPES) -> User:
        user = await get_optional_user(request)
        request = on_site(request)
        if user is None:
            raise make_sign_in_error(request)
        if needed.scopes and request.state.token:
            require_scopes(request.state.token.scopes, needed.scopes)
        if request_rules.is_personal(request):
            _refuse_impersonator(request)
        await request_rules.require_second_factor(request, user)
        return user


get_current_user = CurrentUserScheme()
CurrentUser = Annotated[User, Depends(get_current_user)]


async def get_account_owner(request: HTTPConnection, user: CurrentUser) -> User:
    _refuse_impersonator(request)
    return user


def _refuse_impersonator(request: HTTPConnection) -> None:
    if request.state.impersonator is not None:
        raise HTTPException(403, request_rules.OWNER_ONLY)


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
        OperatorError: A scope has no prefix, such as `export` instead of `books:export`.
    """
    require_valid_scopes(scopes)
    return Security(get_current_user, scopes=scopes)


async def get_impersonator(request: HTTPConnection) -> User | None:
    await get_optional_user(request)
    return cast("User | None", request.state.impersonator)


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
