"""Bearer tokens for the API: random, and of each only the hash in the database, where it can be ended."""

import secrets
from datetime import timedelta

from fastapi.security import OAuth2PasswordBearer
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.accounts.models import ApiToken, User
from opportune.accounts.sessions import hashed, make_room
from opportune.db.model import utc_now

SIGNED_IN = timedelta(hours=1)
"""Of the token that signing in gives."""
AT_SIGN_IN = "Signed in"
"""The name of that token; to others their owner gives one."""
PREFIX = "opp_"
"""By which people, and programs that search for leaks, know what they have found."""
HINT = len(PREFIX) + 6
REALM = {"WWW-Authenticate": "Bearer"}

# For the OpenAPI page: without it no address there shows that it wants a token.
scheme = OAuth2PasswordBearer(tokenUrl="/api/v1/auth/login", auto_error=False)


async def issue(session: AsyncSession, user: User, name: str, lifetime: timedelta) -> str:
    """Make a token and give it, which is stored nowhere."""
    await make_room(session, user, ApiToken)
    token, ends = PREFIX + secrets.token_urlsafe(32), utc_now() + lifetime
    session.add(ApiToken(token_hash=hashed(token), user_id=user.id, name=name, hint=token[:HINT], expires_at=ends))
    return token


def token_of(request: Request) -> str | None:
    """The token that came with a request, or None if the request shows none."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


async def end_sign_ins(session: AsyncSession, user: User, keep: str | None) -> None:
    """End what mere signing in gave, but for one token; what its owner has named stays."""
    given = delete(ApiToken).where(col(ApiToken.user_id) == user.id, col(ApiToken.name) == AT_SIGN_IN)
    await session.execute(given.where(col(ApiToken.token_hash) != hashed(keep)) if keep else given)


async def end(session: AsyncSession, token: str) -> None:
    await session.execute(delete(ApiToken).where(col(ApiToken.token_hash) == hashed(token)))
