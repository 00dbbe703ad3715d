"""FastAPI Users' `Strategy` for API tokens: random tokens in rows. `jwt_strategy` has JWTs that name a row."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import ApiToken, User
from opportune.accounts.schemas import AccessToken
from opportune.accounts.sessions.lookup import Grants, find_by_token
from opportune.accounts.tokens.dependencies import require_scopes
from opportune.accounts.tokens.scopes import ALL_SCOPES
from opportune.accounts.tokens.service import delete_token, issue_access_token
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.errors import NotFound

Found = tuple[ApiToken, User, Grants]


class TokenStrategy:
    """Random tokens with hashes in rows. A deleted token is refused from the next request."""

    def __init__(self, settings: Settings, database: Database, session: AsyncSession) -> None:
        self.settings = settings
        self.database = database
        self.session = session
        """A session that writes; `find` and `read_token` work without it."""
        self.needed_scopes: Sequence[str] = ()
        """Scopes that `read_token` requires."""

    async def find(self, token: str) -> Found | None:
        """Return the row of a valid token, its active user, and their grants."""
        return await find_by_token(self.database, ApiToken, token)

    async def read_token(self, token: str | None, user_manager: Any) -> User | None:
        found = await self.find(token) if token else None
        if found is None:
            return None
        require_scopes(found[0].scopes, self.needed_scopes)
        return found[1]

    async def grant(self, user: User, scopes: str = ALL_SCOPES) -> AccessToken:
        """Create the token of a sign-in."""
        token = await issue_access_token(self.session, user, scopes)
        return AccessToken(access_token=token, scope=response_scope(scopes))

    async def refresh(self, refresh_token: str) -> AccessToken | None:
        """Exchange a refresh token. Raises NotFound if sign-ins have none."""
        raise NotFound

    async def write_token(self, user: User) -> str:
        return (await self.grant(user)).access_token

    async def destroy_token(self, token: str, user: User | None = None) -> None:
        await delete_token(self.session, token)


def response_scope(scopes: str) -> str | None:
    """Return the scopes for the response. As in OAuth, None if they are those of the request."""
    return None if scopes == ALL_SCOPES else scopes
