"""Tokens of programs. They only work for `/mcp`, and are listed with the user's other tokens."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import ApiToken
from opportune.accounts.tokens.jwt_strategy import JwtStrategy, is_jwt, matches_row
from opportune.accounts.tokens.scopes import get_common_scopes
from opportune.accounts.tokens.strategies import TokenMatch
from opportune.config.settings import Settings
from opportune.contrib.mcp.oauth.urls import MCP_PATH, build_url
from opportune.db.database import Database


class McpTokenStrategy(JwtStrategy):
    """JWTs with refresh tokens, independent of BEARER, signed with a separate key so that they only work for `/mcp`."""

    purpose = "mcp: jwt"

    def __init__(self, settings: Settings, database: Database, session: AsyncSession | None = None) -> None:
        super().__init__(settings, database, session, build_url(settings, MCP_PATH))  # type: ignore[arg-type]  # read-only without a session

    async def find_match(self, token: str) -> TokenMatch | None:
        match = await super().find_match(token) if is_jwt(token) else None
        if match and (claims := self._read_claims(token)):
            match[0].scopes = get_common_scopes(match[0].scopes, str(claims["scope"]))  # a refresh may request fewer
        return match

    async def find_either(self, token: str) -> ApiToken | None:
        """Return the row of an access token, even if it is expired, or of a refresh token."""
        if claims := self._read_claims(token, allow_expired=True):
            row = await self.session.get(ApiToken, claims["sid"])
            return row if row and matches_row(claims, row) else None
        match = await self.find_by_refresh_token(token)
        return match[0] if match else None
