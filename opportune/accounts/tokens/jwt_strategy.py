"""BEARER=jwt: signing in gives a JWT of some minutes, and a token to get the next one with.

The JWT names the row of that token. So it ends with what ends the row: signing out, another password, a right that is
taken, the deactivation of the account, or the list of one's tokens.
"""

import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import jwt
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.credentials import prune
from opportune.accounts.fastapi_users_without_redis import JWTStrategy, generate_jwt
from opportune.accounts.models import ApiToken, User
from opportune.accounts.schemas import AccessToken
from opportune.accounts.sessions.lookup import find_by_token_id
from opportune.accounts.tokens.service import ACCESS_TOKEN_NAME, HINT_LENGTH, TOKEN_PREFIX, UserTokens, delete_token
from opportune.accounts.tokens.strategies import Found, TokenStrategy
from opportune.db.database import Database
from opportune.db.model import MAX_ID, utc_now
from opportune.settings import Settings
from opportune.signing import derived_keys

AUDIENCE = "opportune:api"
CLAIMS = ["sub", "sid", "auth_time", "iat", "exp"]


class JwtStrategy(TokenStrategy, JWTStrategy[Any, int]):
    """FastAPI Users' JWTStrategy with the keys of SECRET_KEY and SECRET_KEY_FALLBACKS, and a row behind each token.

    Tokens that people have made by name stay what they are.
    """

    def __init__(self, settings: Settings, database: Database, session: AsyncSession) -> None:
        TokenStrategy.__init__(self, settings, database, session)
        self.keys = derived_keys(settings, "accounts: jwt")
        JWTStrategy.__init__(self, self.keys[0], settings.jwt_minutes * 60, [AUDIENCE])

    async def find(self, token: str) -> Found | None:
        if token.count(".") != 2:
            return await super().find(token)
        claims = self._claims(token)
        found = await find_by_token_id(self.database, claims["sid"]) if claims else None
        return found if claims and found and _is_of(claims, found[0]) else None

    async def grant(self, user: User) -> AccessToken:
        await prune(self.session, user, ApiToken)
        ends = utc_now() + timedelta(days=self.settings.session_days)
        refresh_token, kept = self._new_token()
        self.session.add(row := ApiToken(user_id=user.id, name=ACCESS_TOKEN_NAME, expires_at=ends, **kept))
        await self.session.flush()
        return self._granted(row.id, user.id, row.created_at, refresh_token)

    async def refresh(self, refresh_token: str) -> AccessToken | None:
        """Another JWT, and another token to refresh it: each counts once, also for two at the same moment."""
        active = select(col(User.id)).where(col(User.is_active))
        known = col(ApiToken.token_hash).in_([_hash(key, refresh_token) for key in self.keys])
        mine = (known, col(ApiToken.expires_at) > utc_now(), col(ApiToken.user_id).in_(active))
        following, kept = self._new_token()
        used = update(ApiToken).where(*mine).values(**kept, used_at=utc_now())
        named = used.returning(col(ApiToken.id), col(ApiToken.user_id), col(ApiToken.created_at))
        found = (await self.session.execute(named)).first()
        return self._granted(found[0], found[1], found[2], following) if found else None

    async def destroy_token(self, token: str, user: User | None = None) -> None:
        if token.count(".") != 2:
            await delete_token(self.session, token)
        elif claims := self._claims(token, may_be_over=True):
            row = await self.session.get(ApiToken, claims["sid"])
            if row and _is_of(claims, row):
                await UserTokens(self.session, row.user_id).delete_one_of(row.id)

    def _granted(self, row_id: int, user_id: int, signed_in_at: datetime, refresh_token: str) -> AccessToken:
        claims = {"sub": str(user_id), "sid": row_id, "aud": AUDIENCE, "iat": utc_now()}
        claims["auth_time"] = signed_in_at.timestamp()
        token = generate_jwt(claims, self.encode_key, self.lifetime_seconds, self.algorithm)
        return AccessToken(access_token=token, refresh_token=refresh_token, expires_in=self.lifetime_seconds)

    def _new_token(self) -> tuple[str, dict[str, Any]]:
        """A token and what its row keeps: a hash made with a key of the site's, so that it opens nothing by itself."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        return token, {"token_hash": _hash(self.keys[0], token), "hint": token[:HINT_LENGTH]}

    def _claims(self, token: str, *, may_be_over: bool = False) -> dict[str, Any] | None:
        """What a token of ours says; None if it is none, or over."""
        options: Any = {"require": CLAIMS, "verify_exp": not may_be_over}
        for key in self.keys:
            try:
                claims = jwt.decode(token, key, [self.algorithm], options, audience=self.token_audience)
            except jwt.PyJWTError:
                continue
            sid = claims["sid"]
            return claims if isinstance(sid, int) and 0 < sid <= MAX_ID and str(claims["sub"]).isdecimal() else None
        return None


def _is_of(claims: Mapping[str, Any], row: ApiToken) -> bool:
    """Whether it is the row that was meant: SQLite gives the number of the last one, once it is gone, to the next."""
    return (claims["sub"], claims["auth_time"]) == (str(row.user_id), row.created_at.timestamp())


def _hash(key: str, token: str) -> str:
    return hmac.digest(key.encode(), token.encode(errors="replace"), "sha256").hex()
