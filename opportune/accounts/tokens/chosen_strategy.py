"""The strategy of the BEARER setting."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.tokens.strategies import TokenStrategy
from opportune.config.settings import Settings
from opportune.db.database import Database


def token_strategy(settings: Settings, database: Database, session: AsyncSession | None = None) -> TokenStrategy:
    """Return the strategy of the BEARER setting. To create or delete tokens, it needs a session."""
    strategy: type[TokenStrategy] = TokenStrategy
    if settings.bearer == "jwt":
        from opportune.accounts.tokens.jwt_strategy import JwtStrategy  # loads PyJWT and FastAPI Users

        strategy = JwtStrategy
    return strategy(settings, database, session)  # type: ignore[arg-type]  # reading a token needs no session
