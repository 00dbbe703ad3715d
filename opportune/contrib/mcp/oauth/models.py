"""Tables of registered programs and OAuth grants, and their cleanup."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col

from opportune.accounts.models import ApiToken, OwnerId
from opportune.db import Model, before_delete, utc_now
from opportune.feature import Cleanup
from opportune.i18n import pgettext_lazy as _p


class McpClient(Model, table=True):
    """Registered program. Any program can register, so its name is not verified.

    Attributes:
        redirect_uris: Allowed redirect URLs.
        auth_method: Client authentication: `none`, `client_secret_post` or `client_secret_basic`.
        used_at: Last time a user authorized it, or it refreshed a token.
    """

    __tablename__ = "mcp_client"

    client_id: str = Field(max_length=36, unique=True, title=_p("program", "Client"))
    name: str = Field(max_length=100)
    redirect_uris: list[str] = Field(default_factory=list)
    auth_method: str = Field(max_length=32)
    sealed_secret: str = Field(default="", max_length=255)
    created_at: datetime = Field(default_factory=utc_now, index=True)
    used_at: datetime | None = None

    def __str__(self) -> str:
        return self.name


class McpGrant(Model, table=True):
    """An OAuth grant: first an authorization code, later the access token.

    Attributes:
        session_id: Browser session of the authorization. The code ends with it. None after the code was exchanged.
        token_id: Token for the code. Deleting it deletes the grant.
        has_redirect_uri: The request contained a redirect URL, so the exchange must repeat it.
        expires_at: Expiry of the code.
    """

    __tablename__ = "mcp_grant"

    client_id: int = Field(foreign_key="mcp_client.id", ondelete="CASCADE", index=True, title=_p("program", "Client"))
    user_id: OwnerId
    session_id: int | None = Field(default=None, foreign_key="accounts_session.id", ondelete="CASCADE", index=True)
    token_id: int | None = Field(default=None, foreign_key="accounts_token.id", ondelete="CASCADE", index=True)
    code_hash: str = Field(max_length=64, unique=True)
    code_challenge: str = Field(max_length=43)
    redirect_uri: str = Field(max_length=1000)
    has_redirect_uri: bool
    scopes: str = Field(max_length=2000)
    created_at: datetime = Field(default_factory=utc_now)
    expires_at: datetime = Field(index=True)


@before_delete(McpClient)
async def delete_tokens_of_program(session: AsyncSession, client: McpClient) -> None:
    tokens = select(col(McpGrant.token_id)).where(col(McpGrant.client_id) == client.id)
    await session.execute(delete(ApiToken).where(col(ApiToken.id).in_(tokens)))


NEVER_USED_LIFETIME = timedelta(days=1)
"""Lifetime of a program that no user has authorized."""
UNUSED_LIFETIME = timedelta(days=180)
"""Lifetime of an authorized program after its last use."""


def is_unused() -> ColumnElement[bool]:
    """Return a condition for programs without grants that were not used for a long time."""
    now = utc_now()
    granted = select(col(McpGrant.id)).where(col(McpGrant.client_id) == col(McpClient.id))
    never_used = and_(col(McpClient.used_at).is_(None), col(McpClient.created_at) < now - NEVER_USED_LIFETIME)
    unused = col(McpClient.used_at) < now - UNUSED_LIFETIME
    return and_(or_(never_used, unused), ~granted.correlate(McpClient).exists())


def is_expired() -> ColumnElement[bool]:
    """Return a condition for codes that no program has exchanged in time."""
    return and_(col(McpGrant.token_id).is_(None), col(McpGrant.expires_at) <= utc_now())


CLEANUPS = (Cleanup(McpGrant, lambda _: is_expired()), Cleanup(McpClient, lambda _: is_unused()))
