"""Programs that have made themselves known, and who has let them in."""

from datetime import datetime

from sqlmodel import Field

from opportune.db.models.model import Model, utc_now


class McpClient(Model, table=True):
    """A program that has registered itself. Anybody's may, and all that it says of itself is only its word."""

    __tablename__ = "mcp_client"

    client_id: str = Field(max_length=36, unique=True)
    name: str = Field(max_length=100)
    redirect_uris: list[str] = Field(default_factory=list)
    """Where people may be sent back to, and nowhere else."""
    auth_method: str = Field(max_length=32)
    """How it shows that it is the one: `none`, `client_secret_post` or `client_secret_basic`."""
    sealed_secret: str = Field(default="", max_length=255)
    created_at: datetime = Field(default_factory=utc_now, index=True)
    used_at: datetime | None = None
    """When somebody last let it in, or it last got another token."""

    def __str__(self) -> str:
        return self.name


class McpGrant(Model, table=True):
    """That somebody has let a program in: first a code for it, then the token that it got for that."""

    __tablename__ = "mcp_grant"

    client_id: int = Field(foreign_key="mcp_client.id", ondelete="CASCADE", index=True)
    user_id: int = Field(foreign_key="accounts_user.id", ondelete="CASCADE", index=True)
    session_id: int | None = Field(default=None, foreign_key="accounts_session.id", ondelete="CASCADE", index=True)
    """The browser that it was done in: a code ends with it, as with another password. None once there is a token."""
    token_id: int | None = Field(default=None, foreign_key="accounts_token.id", ondelete="CASCADE", index=True)
    """The token that came of it. With that one, whoever ends it, this ends."""
    code_hash: str = Field(max_length=64, unique=True)
    code_challenge: str = Field(max_length=43)
    redirect_uri: str = Field(max_length=1000)
    has_redirect_uri: bool
    """Whether the program said it, and has to say it again."""
    scopes: str = Field(max_length=2000)
    created_at: datetime = Field(default_factory=utc_now)
    expires_at: datetime = Field(index=True)
    """When the code is over."""
