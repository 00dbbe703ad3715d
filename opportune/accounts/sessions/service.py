"""Sessions of browsers, and the code that they share with API tokens.

Both are rows with the hash of a random token, which is not stored itself.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import Connection, delete, event, inspect, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import col

from opportune.accounts.models import ApiToken, Session, User
from opportune.config.settings import Settings
from opportune.db.clock import utc_now
from opportune.db.queries.dialects import database_time
from opportune.errors import NotFound
from opportune.i18n import gettext_lazy as _l
from opportune.web.client import Client, describe_user_agent

MAX_CREDENTIALS_PER_USER = 100
"""Maximum number of sessions of one user, and of API tokens. It limits the storage that repeated sign-ins can use."""

INVALIDATING_FIELDS = ("hashed_password", "is_active", "is_staff", "is_superuser")
"""A change of one of these fields ends all sessions and tokens of the user."""

T = TypeVar("T", Session, ApiToken)

IMPERSONATOR = _l("A superuser, signed in as you")


def hash_token(token: str) -> str:
    """Hash a token for storage. Tokens are long and random, so a fast hash is enough and can be indexed."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


async def delete_expired_and_surplus(session: AsyncSession, user: User, model: type[Session | ApiToken]) -> None:
    """Make room for a new row: delete the user's expired rows, and those that expire first if there are too many."""
    is_owned = col(model.user_id) == user.id
    expires_at = col(model.expires_at)
    surplus_ids = (
        select(col(model.id))
        .where(is_owned)
        .order_by(expires_at.desc(), col(model.id).desc())
        .offset(MAX_CREDENTIALS_PER_USER - 1)
    )
    await session.execute(
        delete(model).where(is_owned, (expires_at <= database_time(session)) | col(model.id).in_(surplus_ids))
    )


class UserCredentials(Generic[T]):
    """Sessions or tokens of one user."""

    model: type[T]
    newest_first: ClassVar[Sequence[Any]]
    """Columns that sort the rows, in descending order."""

    def __init__(self, session: AsyncSession, user_id: int) -> None:
        self.session = session
        self.user_id = user_id

    async def list_valid(self) -> Sequence[T]:
        """Return the rows that have not expired, sorted by `newest_first`."""
        query = select(self.model).where(
            col(self.model.user_id) == self.user_id, col(self.model.expires_at) > utc_now()
        )
        return (await self.session.scalars(query.order_by(*(column.desc() for column in self.newest_first)))).all()

    async def delete(self, row_id: int) -> T:
        """Delete a row of the user and return it.

        Raises:
            NotFound: The user has no such row.
        """
        statement = delete(self.model).where(col(self.model.id) == row_id, col(self.model.user_id) == self.user_id)
        row: T | None = await self.session.scalar(statement.returning(self.model))
        if row is None:
            raise NotFound
        return row

    async def delete_all(self, keep: int | None = None) -> None:
        """Delete all rows of the user except the one with the id `keep`."""
        statement = delete(self.model).where(col(self.model.user_id) == self.user_id)
        await self.session.execute(statement if keep is None else statement.where(col(self.model.id) != keep))


@event.listens_for(User, "after_update")
def _delete_credentials(_mapper: Any, connection: Connection, user: User) -> None:
    """Delete sessions and tokens if one of `INVALIDATING_FIELDS` changes. Bulk updates skip this listener."""
    attributes = inspect(user, raiseerr=True).attrs
    if any(attributes[name].history.has_changes() for name in INVALIDATING_FIELDS):
        for model in (Session, ApiToken):
            connection.execute(delete(model).where(col(model.user_id) == user.id))


class UserSessions(UserCredentials[Session]):
    """Sessions of one user, last used first."""

    model = Session
    newest_first = (col(Session.seen_at), col(Session.id))


def describe_session_device(row: Session) -> str:
    """Describe the device of a session. The device of a superuser who is signed in as the user stays hidden."""
    return describe_user_agent(row.agent) if row.impersonator_session_id is None else str(IMPERSONATOR)


async def create_session(
    session: AsyncSession, settings: Settings, user: User, client: Client | None = None, *, remember: bool = False
) -> str:
    """Create a session and return its token, which is not stored."""
    await delete_expired_and_surplus(session, user, Session)
    client = client or Client()
    now = utc_now()
    token = secrets.token_urlsafe(32)
    new_session = Session(token_hash=hash_token(token), user_id=user.id, expires_at=now, is_remembered=remember)
    new_session.expires_at = get_session_expiry(settings, new_session, now)
    new_session.address, new_session.agent = client.address, client.user_agent
    session.add(new_session)
    return token


def get_session_expiry(settings: Settings, row: Session, seen_at: datetime) -> datetime:
    """Return when a session expires if it is not used again."""
    if row.impersonator_session_id is not None:  # an impersonation has a fixed end, even if it is in use
        return row.expires_at
    latest = row.created_at + timedelta(days=settings.session_days)
    return latest if row.is_remembered else min(latest, seen_at + timedelta(hours=settings.session_idle_hours))


async def confirm_session(session: AsyncSession, row: Session) -> str | None:
    """Store that the user has just confirmed their identity, and return a new token for the session.

    Return None if the session has ended in the meantime.
    """
    token = secrets.token_urlsafe(32)
    changes = {"token_hash": hash_token(token), "confirmed_at": utc_now()}
    statement = update(Session).where(col(Session.id) == row.id, col(Session.token_hash) == row.token_hash)
    if await session.scalar(statement.values(changes).returning(col(Session.id))) is None:
        return None
    for name, value in changes.items():
        set_committed_value(row, name, value)
    return token


async def confirm_sessions(session: AsyncSession, user: User) -> None:
    """Store a confirmation in all sessions of a user who has just proved their identity."""
    await session.execute(update(Session).where(col(Session.user_id) == user.id).values(confirmed_at=utc_now()))


async def forget_confirmations(session: AsyncSession, user: User) -> None:
    """Remove the confirmation from all sessions of a user whose sign-in methods have changed."""
    await session.execute(update(Session).where(col(Session.user_id) == user.id).values(confirmed_at=None))


async def delete_session(session: AsyncSession, token: str) -> None:
    """End a session. If it is an impersonation, the superuser's own session ends as well."""
    has_token = col(Session.token_hash) == hash_token(token)
    superuser_sessions = select(col(Session.impersonator_session_id)).where(has_token)
    await session.execute(delete(Session).where(has_token | col(Session.id).in_(superuser_sessions)))
