"""Users, and the sessions in which they are signed in."""

from datetime import datetime

from sqlalchemy import Index, func
from sqlmodel import Field

from app.core.db.model import BigId, Model, utc_now


class User(Model, table=True):
    __tablename__ = "accounts_user"

    email: str = Field(max_length=320)
    hashed_password: str = Field(max_length=1024)
    is_active: bool = True
    is_superuser: bool = False
    is_verified: bool = False
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.email


# Kept in lower case by the manager; the index holds for every other way in too.
Index("ix_accounts_user_email_lower", func.lower(User.email), unique=True)


class Session(Model, table=True):
    """One browser in which somebody is signed in. The cookie holds a token; here is only its hash."""

    __tablename__ = "accounts_session"

    token_hash: str = Field(max_length=64, unique=True)
    user_id: int = Field(foreign_key="accounts_user.id", ondelete="CASCADE", index=True, sa_type=BigId)
    created_at: datetime = Field(default_factory=utc_now)
    expires_at: datetime
    address: str = Field(default="", max_length=64)
    agent: str = Field(default="", max_length=256)
