"""How a program's token is made, read and ended, as FastAPI Users' `Strategy`: by rows, or by JWTs that name one."""

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
    """Random tokens, whose hashes are rows. One that is deleted is refused from the next request on."""

    def __init__(self, settings: Settings, database: Database, session: AsyncSession) -> None:
        self.settings = settings
        self.database = database
        self.session = session
        """Which writes: `find` and `read_token` do without."""
        self.needed_scopes: Sequence[str] = ()
        """Of a token that `read_token` is shown."""

    async def find(self, token: str) -> Found | None:
        """The row of a token that is not over, its active user, and what they may do."""
        return await find_by_token(self.database, ApiToken, token)

    async def read_token(self, token: str | None, user_manager: Any) -> User | None:
        found = await self.find(token) if token else None
        if found is None:
            return None
        require_scopes(found[0].scopes, self.needed_scopes)
        return found[1]

    async def grant(self, user: User, scopes: str = ALL_SCOPES) -> AccessToken:
        """What signing in gives."""
        token = await issue_access_token(self.session, user, scopes)
        return AccessToken(access_token=token, scope=response_scope(scopes))

    async def refresh(self, refresh_token: str) -> AccessToken | None:
        """What the refresh token of a sign-in gives. Raises NotFound where signing in gives none."""
        raise NotFound

    async def write_token(self, user: User) -> str:
        return (await self.grant(user)).access_token

    async def destroy_token(self, token: str, user: User | None = None) -> None:
        await delete_token(self.session, token)


def response_scope(scopes: str) -> str | None:
    """As OAuth has it: only where it is not what was asked for, and who asks for none gets all."""
    return None if scopes == ALL_SCOPES else scopes
