"""The session or token of a request, with its user, and the token strategy of the BEARER setting."""

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from opportune.accounts.models import ApiToken, Session
from opportune.accounts.sessions.cookies import read_session_token
from opportune.accounts.sessions.last_seen import LastSeen
from opportune.accounts.sessions.lookup import CredentialMatch, find_by_token
from opportune.accounts.tokens.dependencies import read_bearer_token
from opportune.accounts.tokens.strategies import TokenStrategy
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.sessions.dependencies import is_foreign_route
from opportune.web.client import Client
from opportune.web.middleware.origins import refuse_foreign_page
from opportune.web.routing.root_path import path_below_root


def token_strategy(settings: Settings, database: Database, session: AsyncSession | None = None) -> TokenStrategy:
    """Return the strategy of the BEARER setting. To create or delete tokens, it needs a session."""
    strategy: type[TokenStrategy] = TokenStrategy
    if settings.bearer == "jwt":
        from opportune.accounts.tokens.jwt_strategy import JwtStrategy  # loads PyJWT and FastAPI Users

        strategy = JwtStrategy
    return strategy(settings, database, session)  # type: ignore[arg-type]  # reading a token needs no session


async def find_credential(request: HTTPConnection) -> CredentialMatch[Session] | CredentialMatch[ApiToken] | None:
    takes_tokens = path_below_root(request.scope).startswith("/api/") or is_foreign_route(request)
    bearer_token = read_bearer_token(request) if takes_tokens else None
    if bearer_token is not None:
        strategy = token_strategy(request.app.state.settings, request.app.state.database)
        return await strategy.find_match(bearer_token)
    token = read_session_token(request)
    if not token:
        return None
    if is_foreign_route(request):  # the site's middleware has checked the others
        refuse_foreign_page(request)
    return await find_by_token(request.app.state.database, Session, token)


def record_use(request: HTTPConnection, row: Session | ApiToken) -> None:
    last_seen: LastSeen = request.app.state.last_seen
    if last_seen.is_due(row):
        last_seen.record_use(row, Client.of(request))
