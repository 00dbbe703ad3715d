"""BEARER=jwt: signing in returns a short-lived JWT, and a refresh token for the next one.

The JWT names the row of the refresh token, and ends with it: by signing out, a new password, a removed right, the
deactivation of the account, or the user's list of tokens.
"""

import base64
import hmac
import secrets
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import jwt
from fastapi_users.authentication import JWTStrategy
from fastapi_users.jwt import generate_jwt
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.models import ApiToken, User
from opportune.accounts.schemas import AccessToken
from opportune.accounts.sessions.credentials import prune
from opportune.accounts.sessions.lookup import find_by_token_id
from opportune.accounts.tokens.scopes import ALL_SCOPES, common_scopes
from opportune.accounts.tokens.service import ACCESS_TOKEN_NAME, HINT_LENGTH, TOKEN_PREFIX, UserTokens, delete_token
from opportune.accounts.tokens.strategies import Found, TokenStrategy, response_scope
from opportune.config.settings import Settings
from opportune.config.signing import derived_keys
from opportune.db.database import Database
from opportune.db.models.model import MAX_ID, utc_now

AUDIENCE = "opportune:api"
REFRESH = struct.Struct(">QQQ")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RETRY_GRACE = timedelta(seconds=10)
"""Time in which a client that lost the response gets the same one again."""
CLAIMS = ["sub", "sid", "auth_time", "iat", "exp"]


class JwtStrategy(TokenStrategy, JWTStrategy[Any, int]):
    """FastAPI Users' JWTStrategy with the keys of SECRET_KEY and SECRET_KEY_FALLBACKS, and a row for each token.

    Named tokens of users stay random tokens.
    """

    purpose = "accounts: jwt"
    """Purpose of the keys: a signature for another purpose is invalid here."""

    def __init__(self, settings: Settings, database: Database, session: AsyncSession, audience: str = AUDIENCE) -> None:
        TokenStrategy.__init__(self, settings, database, session)
        self.keys = derived_keys(settings, self.purpose)
        JWTStrategy.__init__(self, self.keys[0], settings.jwt_minutes * 60, [audience])

    async def find(self, token: str) -> Found | None:
        if token.count(".") != 2:
            return await super().find(token)
        claims = self._claims(token)
        found = await find_by_token_id(self.database, claims["sid"]) if claims else None
        return found if claims and found and matches_row(claims, found[0]) else None

    async def grant(self, user: User, scopes: str = ALL_SCOPES) -> AccessToken:
        return (await self.start(user, scopes, ACCESS_TOKEN_NAME))[1]

    async def start(self, user: User, scopes: str, name: str) -> tuple[ApiToken, AccessToken]:
        """Start a sign-in with this name in the user's list of tokens; return its row and its first two tokens."""
        await prune(self.session, user, ApiToken)
        ends = utc_now() + timedelta(days=self.settings.session_days)
        row = ApiToken(user_id=user.id, name=name, token_hash="", expires_at=ends, scopes=scopes)
        row.token_hash = secrets.token_hex(32)  # replaced below, as the token contains the id of the row
        self.session.add(row)
        await self.session.flush()
        return row, self._granted(row, self._keep_refresh_token(row, 0))

    async def refresh(self, refresh_token: str, scopes: str = "") -> AccessToken | None:
        """Return another JWT, with fewer scopes if requested, and another refresh token.

        Each refresh token is valid once. A client that repeats the last one immediately has lost the response, and gets
        the same one again. A later repetition, or an older token, may come from a thief: the sign-in ends, and its user
        is notified.
        """
        hashes, content = [_hash(key, refresh_token) for key in self.keys], self._read(refresh_token)
        found = await self._lock(hashes, content)
        if found is None:
            return None
        row, user = found
        number = (content.number if content else 0) + 1
        if row.token_hash in hashes:
            row.used_at = row.refreshed_at = utc_now()
            return self._granted(row, self._keep_refresh_token(row, number), scopes)
        following = self._refresh_token(row, number)
        is_last = row.token_hash == _hash(self.keys[0], following)
        if is_last and row.refreshed_at and utc_now() - row.refreshed_at <= RETRY_GRACE:
            return self._granted(row, following, scopes)
        await self.session.delete(row)
        record_event(self.session, user, "refresh_token_reused")
        return None

    async def find_refreshed(self, refresh_token: str) -> tuple[ApiToken, User] | None:
        """Lock and return the row of a current or used refresh token, and its active user."""
        return await self._lock([_hash(key, refresh_token) for key in self.keys], self._read(refresh_token))

    async def destroy_token(self, token: str, user: User | None = None) -> None:
        if token.count(".") != 2:
            await delete_token(self.session, token)
        elif claims := self._claims(token, may_be_over=True):
            row = await self.session.get(ApiToken, claims["sid"])
            if row and matches_row(claims, row):
                await UserTokens(self.session, row.user_id).delete_one_of(row.id)

    def _granted(self, row: ApiToken, refresh_token: str, scopes: str = "") -> AccessToken:
        scopes = common_scopes(row.scopes, scopes) if scopes else row.scopes
        claims = {"sub": str(row.user_id), "sid": row.id, "aud": self.token_audience[0], "iat": utc_now()}
        claims |= {"auth_time": row.created_at.timestamp(), "scope": scopes}
        token = generate_jwt(claims, self.encode_key, self.lifetime_seconds, self.algorithm)
        scope, seconds = response_scope(scopes), self.lifetime_seconds
        return AccessToken(access_token=token, refresh_token=refresh_token, expires_in=seconds, scope=scope)

    async def _lock(self, hashes: Sequence[str], content: "Refresh | None") -> tuple[ApiToken, User] | None:
        """Return the row of a current or used refresh token, and its active user; lock the row."""
        mine = col(ApiToken.token_hash).in_(hashes) | (col(ApiToken.id) == (content.row_id if content else 0))
        rows = select(ApiToken, User).join_from(ApiToken, User, col(User.id) == col(ApiToken.user_id))
        valid = rows.where(mine, col(ApiToken.expires_at) > utc_now(), col(User.is_active))
        found = (await self.session.execute(valid.with_for_update(of=ApiToken))).first()
        if found is None or (found[0].token_hash not in hashes and not (content and content.matches_row(found[0]))):
            return None
        return found[0], found[1]

    def _keep_refresh_token(self, row: ApiToken, number: int) -> str:
        """Store the keyed hash of a refresh token in its row. The hash alone is worthless."""
        token = self._refresh_token(row, number)
        row.token_hash, row.hint = _hash(self.keys[0], token), token[:HINT_LENGTH]
        return token

    def _refresh_token(self, row: ApiToken, number: int) -> str:
        """Return the refresh token with this number, derived from the key, so that a used one is recognised."""
        body = REFRESH.pack(row.id, _microseconds(row.created_at), number)
        return TOKEN_PREFIX + base64.urlsafe_b64encode(_sign(self.keys[0], body) + body).decode()

    def _read(self, token: str) -> "Refresh | None":
        """Return the content of a refresh token of this site, used or not; else None."""
        try:
            data = base64.urlsafe_b64decode(token.removeprefix(TOKEN_PREFIX))
        except ValueError:
            return None
        signature, body = data[: -REFRESH.size], data[-REFRESH.size :]
        if not any(hmac.compare_digest(signature, _sign(key, body)) for key in self.keys):
            return None
        return Refresh(*REFRESH.unpack(body))

    def _claims(self, token: str, *, may_be_over: bool = False) -> dict[str, Any] | None:
        """Return the claims of a JWT of this site; None if it is invalid or expired."""
        options: Any = {"require": CLAIMS, "verify_exp": not may_be_over}
        for key in self.keys:
            try:
                claims = jwt.decode(token, key, [self.algorithm], options, audience=self.token_audience)
            except jwt.PyJWTError:
                continue
            sid = claims["sid"]
            return claims if isinstance(sid, int) and 0 < sid <= MAX_ID and str(claims["sub"]).isdecimal() else None
        return None


def matches_row(claims: Mapping[str, Any], row: ApiToken) -> bool:
    """Return whether the claims are of this row. SQLite may reuse the id of a deleted row."""
    return (claims["sub"], claims["auth_time"]) == (str(row.user_id), row.created_at.timestamp())


class Refresh(NamedTuple):
    """Content of a refresh token."""

    row_id: int
    created_at: int
    """Creation time of its row in microseconds, because SQLite may reuse ids of deleted rows."""
    number: int

    def matches_row(self, row: ApiToken) -> bool:
        return self.created_at == _microseconds(row.created_at)


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _sign(key: str, body: bytes) -> bytes:
    return hmac.digest(key.encode(), b"refresh:" + body, "sha256")


def _hash(key: str, token: str) -> str:
    return hmac.digest(key.encode(), token.encode(errors="replace"), "sha256").hex()
