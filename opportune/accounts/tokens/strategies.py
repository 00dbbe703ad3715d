"""API tokens as a `Strategy` of FastAPI Users. This module has random tokens, and `jwt_strategy` has JWTs."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import ApiToken, User
from opportune.accounts.schemas import AccessToken
from opportune.accounts.sessions.lookup import CredentialMatch, find_by_token
from opportune.accounts.tokens.dependencies import require_scopes
from opportune.accounts.tokens.scopes import ALL_SCOPES
from opportune.accounts.tokens.service import delete_token, issue_access_token
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.errors import NotFound

TokenMatch = CredentialMatch[ApiToken]


class TokenStrategy:
    """Random tokens whose hashes are stored. A deleted token is invalid from the next request on."""

    def __init__(self, settings: Settings, database: Database, session: AsyncSession) -> None:
        self.settings = settings
        self.database = database
        self.session = session
        """A writing session. `find_match` and `read_token` do not use it."""
        self.needed_scopes: Sequence[str] = ()
        """Scopes that `read_token` requires."""

    async def find_match(self, token: str) -> TokenMatch | None:
        """Return the match of a token; None if it is invalid or expired, or its user inactive."""
        return await find_by_token(self.database, ApiToken, token)

    async def read_token(self, token: str | None, user_manager: Any) -> User | None:
        match = await self.find_match(token) if token else None
        if match is None:
            return None
        require_scopes(match.credential.scopes, self.needed_scopes)
        return match.user

    async def grant(self, user: User, scopes: str = ALL_SCOPES) -> AccessToken:
        token = await issue_access_token(self.session, user, scopes)
        return AccessToken(access_token=token, scope=response_scope(scopes))

    async def refresh(self, refresh_token: str) -> AccessToken | None:
        """Exchange a refresh token for new tokens; None if it is invalid.

        Raises:
            NotFound: BEARER is not jwt.
        """
        raise NotFound

    async def write_token(self, user: User) -> str:
        return (await self.grant(user)).access_token

    async def destroy_token(self, token: str, user: User | None = None) -> None:
        await delete_token(self.session, token)


def response_scope(scopes: str) -> str | None:
    """Return the scopes for the response; None for all scopes, because OAuth omits scopes that are not limited."""
    return None if scopes == ALL_SCOPES else scopes
