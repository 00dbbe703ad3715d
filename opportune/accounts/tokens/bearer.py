"""Bearer tokens for the API: random, and of each only the hash in the database, where it can be ended."""

import secrets
from datetime import timedelta

from fastapi.security import OAuth2PasswordBearer
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.accounts.models import ApiToken, User
from opportune.accounts.sessions.service import hash_token, prune
from opportune.db.model import utc_now

ACCESS_TOKEN_LIFETIME = timedelta(hours=1)
"""Of the token that signing in gives."""
ACCESS_TOKEN_NAME = "Signed in"  # noqa: S105 - a label
"""The name of that token; to others their owner gives one."""
TOKEN_PREFIX = "opp_"  # noqa: S105 - a beginning
"""By which people, and programs that search for leaks, know what they have found."""
HINT_LENGTH = len(TOKEN_PREFIX) + 6
AUTHENTICATE_HEADER = {"WWW-Authenticate": "Bearer"}

# For the OpenAPI page: without it no address there shows that it wants a token.
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="/api/v1/auth/login", auto_error=False)


async def create_token(session: AsyncSession, user: User, name: str, lifetime: timedelta) -> str:
    """Make a token and give it, which is stored nowhere."""
    await prune(session, user, ApiToken)
    token, ends = TOKEN_PREFIX + secrets.token_urlsafe(32), utc_now() + lifetime
    session.add(
        ApiToken(token_hash=hash_token(token), user_id=user.id, name=name, hint=token[:HINT_LENGTH], expires_at=ends)
    )
    return token


def read_bearer_token(request: Request) -> str | None:
    """The token that came with a request, or None if the request shows none."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


async def delete_access_tokens(session: AsyncSession, user: User, keep: str | None) -> None:
    """End what mere signing in gave, but for one token; what its owner has named stays."""
    given = delete(ApiToken).where(col(ApiToken.user_id) == user.id, col(ApiToken.name) == ACCESS_TOKEN_NAME)
    await session.execute(given.where(col(ApiToken.token_hash) != hash_token(keep)) if keep else given)


async def delete_token(session: AsyncSession, token: str) -> None:
    await session.execute(delete(ApiToken).where(col(ApiToken.token_hash) == hash_token(token)))
