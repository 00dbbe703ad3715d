"""Token strategy of BEARER=jwt: a sign-in returns a short-lived JWT, and a refresh token for the next one.

The JWT contains the id of the refresh token's row. When the row is deleted, the JWT becomes invalid.
This happens when the user signs out, changes the password, loses a permission, is deactivated or deletes the token.
"""

import base64
import hmac
import secrets
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import jwt
from fastapi_users.authentication import JWTStrategy
from fastapi_users.jwt import generate_jwt
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.models import ACCESS_TOKEN_NAME, ApiToken, User
from opportune.accounts.schemas import AccessToken
from opportune.accounts.sessions.credentials import delete_expired_and_surplus
from opportune.accounts.sessions.lookup import find_by_token_id
from opportune.accounts.tokens.scopes import ALL_SCOPES, get_common_scopes
from opportune.accounts.tokens.service import HINT_LENGTH, TOKEN_PREFIX, delete_token
from opportune.accounts.tokens.strategies import TokenMatch, TokenStrategy, response_scope
from opportune.config.settings import Settings
from opportune.config.signing import derived_keys
from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.db.models.row_ids import MAX_ID
from opportune.services.clock import clock

AUDIENCE = "opportune:api"
REFRESH_FORMAT = struct.Struct(">QQQ")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RETRY_GRACE = timedelta(seconds=10)
"""Time in which a client that lost the response can use its refresh token once more."""
REQUIRED_CLAIMS = ["sub", "sid", "auth_time", "iat", "exp"]


class JwtStrategy(TokenStrategy, JWTStrategy[Any, int]):
    """FastAPI Users' JWTStrategy with the keys of SECRET_KEY and SECRET_KEY_FALLBACKS, and a row for each token.

    Tokens that users create and name are still random tokens, as in `TokenStrategy`.
    """

    purpose = "accounts: jwt"
    """Purpose of the derived keys, so that signatures of other features are invalid here."""

    def __init__(self, settings: Settings, database: Database, session: AsyncSession, audience: str = AUDIENCE) -> None:
        TokenStrategy.__init__(self, settings, database, session)
        self.keys = derived_keys(settings, self.purpose)
        JWTStrategy.__init__(self, self.keys[0], settings.jwt_minutes * 60, [audience])

    async def find_match(self, token: str) -> TokenMatch | None:
        if not is_jwt(token):
            return await super().find_match(token)
        claims = self._read_claims(token)
        match = await find_by_token_id(self.database, claims["sid"]) if claims else None
        return match if claims and match and matches_row(claims, match.credential) else None

    async def grant(self, user: User, scopes: str = ALL_SCOPES) -> AccessToken:
        _row, access_token = await self.start_sign_in(user, scopes, ACCESS_TOKEN_NAME)
        return access_token

    async def start_sign_in(self, user: User, scopes: str, name: str) -> tuple[ApiToken, AccessToken]:
        """Create the row of a sign-in and return it with its first tokens. Users see `name` in their list."""
        await delete_expired_and_surplus(self.session, user, ApiToken)
        expires_at = utc_now() + timedelta(days=self.settings.session_days)
        placeholder = secrets.token_hex(32)  # because the token contains the id of the row
        row = ApiToken(user_id=user.id, name=name, token_hash=placeholder, expires_at=expires_at, scopes=scopes)
        self.session.add(row)
        await self.session.flush()
        return row, self._issue_tokens(row, self._store_refresh_token(row, 0))

    async def refresh(self, refresh_token: str, scopes: str = "") -> AccessToken | None:
        """Return a new JWT and a new refresh token; None if the refresh token is invalid.

        `scopes` may limit the JWT. Without them it has those of the row.

        Each refresh token is valid once. If the last one is used again within `RETRY_GRACE`, the client has probably
        lost the response and gets the same new token. Any other reuse may come from a thief: the sign-in ends, and the
        user is notified.
        """
        content = self._read_refresh_token(refresh_token)
        match = await self._lock_row(content) if content else None
        if content is None or match is None:
            return None
        row, user = match
        number = content.number + 1
        if row.token_hash in [_hash(key, refresh_token) for key in self.keys]:
            row.used_at = row.refreshed_at = utc_now()
            return self._issue_tokens(row, self._store_refresh_token(row, number), scopes)
        next_token = self._make_refresh_token(row, number)
        is_last_used = row.token_hash == _hash(self.keys[0], next_token)
        if is_last_used and row.refreshed_at and abs(utc_now() - row.refreshed_at) <= RETRY_GRACE:
            return self._issue_tokens(row, next_token, scopes)
        await self.session.delete(row)
        record_event(self.session, user, "refresh_token_reused")
        return None

    async def find_by_refresh_token(self, refresh_token: str) -> tuple[ApiToken, User] | None:
        """Lock and return the row of a current or used refresh token, and its active user."""
        content = self._read_refresh_token(refresh_token)
        return await self._lock_row(content) if content else None

    async def destroy_token(self, token: str, user: User | None = None) -> None:
        if not is_jwt(token):
            await delete_token(self.session, token)
        elif claims := self._read_claims(token, allow_expired=True):
            row = await self.session.get(ApiToken, claims["sid"])
            if row and matches_row(claims, row):
                await self.session.execute(delete(ApiToken).where(col(ApiToken.id) == row.id))

    def _issue_tokens(self, row: ApiToken, refresh_token: str, scopes: str = "") -> AccessToken:
        scopes = get_common_scopes(row.scopes, scopes) if scopes else row.scopes
        now = utc_now()
        claims = {
            "sub": str(row.user_id),
            "sid": row.id,
            "aud": self.token_audience[0],
            "iat": now,
            "exp": now + timedelta(minutes=self.settings.jwt_minutes),
            "auth_time": row.created_at.timestamp(),
            "scope": scopes,
        }
        return AccessToken(
            access_token=generate_jwt(claims, self.encode_key, algorithm=self.algorithm),
            refresh_token=refresh_token,
            expires_in=self.lifetime_seconds,
            scope=response_scope(scopes),
        )

    async def _lock_row(self, content: "RefreshContent") -> tuple[ApiToken, User] | None:
        """Lock the row of a current or used refresh token. Return it with its active user, or None."""
        query = select(ApiToken, User).join_from(ApiToken, User, col(User.id) == col(ApiToken.user_id))
        query = query.where(
            col(ApiToken.id) == content.row_id, col(ApiToken.expires_at) > utc_now(), col(User.is_active)
        )
        match = (await self.session.execute(query.with_for_update(of=ApiToken))).first()
        if match is None:
            return None
        row, user = match
        return (row, user) if content.created_at == _microseconds(row.created_at) else None

    def _store_refresh_token(self, row: ApiToken, number: int) -> str:
        """Store the hash of a new refresh token in its row, and return the token. The hash uses a secret key."""
        token = self._make_refresh_token(row, number)
        row.token_hash = _hash(self.keys[0], token)
        row.hint = token[:HINT_LENGTH]
        return token

    def _make_refresh_token(self, row: ApiToken, number: int) -> str:
        """Return the refresh token with this number. Its signature identifies used tokens without storage."""
        body = REFRESH_FORMAT.pack(row.id, _microseconds(row.created_at), number)
        return TOKEN_PREFIX + base64.urlsafe_b64encode(_sign(self.keys[0], body) + body).decode()

    def _read_refresh_token(self, token: str) -> "RefreshContent | None":
        """Return the content of a refresh token, also of a used one; None if its signature is invalid."""
        try:
            data = base64.urlsafe_b64decode(token.removeprefix(TOKEN_PREFIX))
        except ValueError:
            return None
        signature, body = data[: -REFRESH_FORMAT.size], data[-REFRESH_FORMAT.size :]
        if not any(hmac.compare_digest(signature, _sign(key, body)) for key in self.keys):
            return None
        return RefreshContent(*REFRESH_FORMAT.unpack(body))

    def _read_claims(self, token: str, *, allow_expired: bool = False) -> dict[str, Any] | None:
        """Return the claims of a JWT of this site; None if it is invalid or expired."""
        # PyJWT compares times with the clock of this machine.
        options: Any = {"require": REQUIRED_CLAIMS, "verify_exp": False, "verify_iat": False}
        for key in self.keys:
            try:
                claims = jwt.decode(token, key, [self.algorithm], options, audience=self.token_audience)
            except jwt.PyJWTError:
                continue
            if not allow_expired and claims["exp"] <= clock.now():
                return None
            row_id = claims["sid"]
            has_row_id = isinstance(row_id, int) and 0 < row_id <= MAX_ID
            return claims if has_row_id and str(claims["sub"]).isdecimal() else None
        return None


def is_jwt(token: str) -> bool:
    """Return whether a token has the form of a JWT. Random tokens contain no dots."""
    return token.count(".") == 2


def matches_row(claims: Mapping[str, Any], row: ApiToken) -> bool:
    """Return whether the claims belong to this row. SQLite may reuse the id of a deleted row."""
    return (claims["sub"], claims["auth_time"]) == (str(row.user_id), row.created_at.timestamp())


class RefreshContent(NamedTuple):
    row_id: int
    created_at: int
    """Creation time of the row in microseconds. SQLite may reuse the id of a deleted row."""
    number: int


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _sign(key: str, body: bytes) -> bytes:
    return hmac.digest(key.encode(), b"refresh:" + body, "sha256")


def _hash(key: str, token: str) -> str:
    return hmac.digest(key.encode(), token.encode(errors="replace"), "sha256").hex()
