"""Sessions and tokens as backends of FastAPI Users: `FastAPIUsers(get_user_manager, auth_backends)`.

Use them for extensions of FastAPI Users. They do not support second factors and rate limits, unlike the site's routes.
"""

from typing import Any

from fastapi import Request
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, CookieTransport

from opportune.accounts.dependencies import AccountCtx
from opportune.accounts.models import User
from opportune.accounts.sessions.cookies import cookie_name
from opportune.accounts.sessions.strategy import SessionStrategy
from opportune.accounts.tokens.chosen_strategy import token_strategy
from opportune.accounts.tokens.dependencies import get_request_scopes
from opportune.accounts.tokens.strategies import TokenStrategy
from opportune.accounts.users.manager import UserManager
from opportune.config.settings import get_settings


async def get_user_manager(context: AccountCtx) -> UserManager[User]:
    """Return the project's `UserManager`, with a writing session."""
    return context.manager


async def get_session_strategy(request: Request, context: AccountCtx) -> SessionStrategy:
    return SessionStrategy(context.settings, request.app.state.database, context.session, context.client)


async def get_token_strategy(request: Request, context: AccountCtx) -> TokenStrategy:
    strategy = token_strategy(context.settings, request.app.state.database, context.session)
    strategy.needed_scopes = get_request_scopes(request)
    return strategy


session_backend: AuthenticationBackend[Any, int] = AuthenticationBackend(
    "session",
    CookieTransport(cookie_name(get_settings()), cookie_secure=get_settings().has_secure_cookies),
    get_session_strategy,
)
token_backend: AuthenticationBackend[Any, int] = AuthenticationBackend(
    "token", BearerTransport("/api/v1/auth/login"), get_token_strategy
)
auth_backends = (token_backend, session_backend)
