"""Tokens of programs that somebody has let in: for `/mcp` alone, listed and ended with their owner's others."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import ApiToken
from opportune.accounts.tokens.jwt_strategy import JwtStrategy, matches_row
from opportune.accounts.tokens.scopes import common_scopes
from opportune.accounts.tokens.strategies import Found
from opportune.config.settings import Settings
from opportune.contrib.mcp.oauth.addresses import MCP_PATH, address_of
from opportune.db.database import Database


class McpTokenStrategy(JwtStrategy):
    """JWTs with refresh tokens, whatever BEARER says, by keys of their own: they open no other address of the site."""

    purpose = "mcp: jwt"

    def __init__(self, settings: Settings, database: Database, session: AsyncSession | None = None) -> None:
        super().__init__(settings, database, session, address_of(settings, MCP_PATH))  # type: ignore[arg-type]  # without one it only reads

    async def find(self, token: str) -> Found | None:
        found = await super().find(token) if token.count(".") == 2 else None
        if found and (claims := self._claims(token)):
            found[0].scopes = common_scopes(found[0].scopes, str(claims["scope"]))  # it may have asked for fewer
        return found

    async def find_either(self, token: str) -> ApiToken | None:
        """The row of an access token, though it be over, or of a refresh token."""
        if claims := self._claims(token, may_be_over=True):
            row = await self.session.get(ApiToken, claims["sid"])
            return row if row and matches_row(claims, row) else None
        found = await self.find_refreshed(token)
        return found[0] if found else None
