"""Bearer tokens for the API: a JWT of one hour, which a new password ends at once."""

from datetime import timedelta
from hmac import compare_digest

import jwt
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from app.accounts.keys import derived_key, fingerprint
from app.accounts.models import User
from app.core.db.model import LARGEST_ID, utc_now
from app.core.settings import Settings

LIFETIME = timedelta(hours=1)
AUDIENCE = "opportune:api"
ALGORITHM = "HS256"
REALM = {"WWW-Authenticate": "Bearer"}

# For the OpenAPI page: without it no address there shows that it wants a token.
scheme = OAuth2PasswordBearer(tokenUrl="/api/v1/auth/login", auto_error=False)


class Claims(BaseModel):
    sub: int = Field(ge=1, le=LARGEST_ID)
    password: str


def issue(user: User, settings: Settings) -> str:
    claims = {
        "sub": str(user.id),
        "aud": AUDIENCE,
        "exp": utc_now() + LIFETIME,
        "password": fingerprint(user.hashed_password),
    }
    return jwt.encode(claims, derived_key(settings, AUDIENCE), ALGORITHM)


def token_of(request: Request) -> str | None:
    """The token that came with a request, or None if the request shows none."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


async def owner(session: AsyncSession, token: str, settings: Settings) -> User | None:
    """The active user of a token that is genuine, in time and younger than the user's password."""
    claims = _read(token, settings)
    user = await session.get(User, claims.sub) if claims else None
    if claims is None or user is None or not user.is_active:
        return None
    return user if compare_digest(claims.password, fingerprint(user.hashed_password)) else None


def _read(token: str, settings: Settings) -> Claims | None:
    key = derived_key(settings, AUDIENCE)
    try:
        claims = jwt.decode(token, key, [ALGORITHM], audience=AUDIENCE, options={"require": ["exp", "sub", "aud"]})
        return Claims.model_validate(claims)
    except (jwt.PyJWTError, ValidationError):
        return None
