"""Sessions and tokens as backends of FastAPI Users: `FastAPIUsers(get_user_manager, auth_backends)`.

Use them for extensions of FastAPI Users. They do not support second factors and rate limits, unlike the site's routes.
"""

from typing import Any

from fastapi import Request
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, CookieTransport
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.dependencies import AccountCtx
from opportune.accounts.models import Session, User
from opportune.accounts.request_credentials import token_strategy
from opportune.accounts.sessions.cookies import cookie_name
from opportune.accounts.sessions.lookup import find_by_token, find_impersonator
from opportune.accounts.sessions.service import create_session, delete_session
from opportune.accounts.tokens.dependencies import get_request_scopes
from opportune.accounts.tokens.strategies import TokenStrategy
from opportune.accounts.users.manager import UserManager
from opportune.config.settings import Settings, get_settings
from opportune.db.database import Database
from opportune.web.client import Client


class SessionStrategy:
    """Sessions of browsers, stored in the database. A deleted session is invalid from the next request on."""

    def __init__(self, settings: Settings, database: Database, session: AsyncSession, client: Client) -> None:
        self.settings = settings
        self.database = database
        self.session = session
        self.client = client

    async def read_token(self, token: str | None, user_manager: Any) -> User | None:
        match = await find_by_token(self.database, Session, token) if token else None
        if match is None:
            return None
        row = match.credential
        if row.is_impersonation and await find_impersonator(self.database, row, match.user) is None:
            return None
        return match.user

    async def write_token(self, user: User) -> str:
        return await create_session(self.session, self.settings, user, self.client)

    async def destroy_token(self, token: str, user: User) -> None:
        await delete_session(self.session, token)


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
