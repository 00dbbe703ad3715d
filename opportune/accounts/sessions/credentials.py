"""Sessions and API tokens of one user. Both are rows with the hash of a random token, which is not stored itself."""

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import Connection, delete, event, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import ApiToken, Session, User
from opportune.db.clock import utc_now
from opportune.errors import require_found

MAX_CREDENTIALS_PER_USER = 100
"""Maximum number of sessions of one user, and of API tokens. It limits the storage that repeated sign-ins can use."""

INVALIDATING_FIELDS = ("hashed_password", "is_active", "is_staff", "is_superuser")
"""A change of one of these fields ends all sessions and tokens of the user."""

T = TypeVar("T", Session, ApiToken)


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
    await session.execute(delete(model).where(is_owned, (expires_at <= utc_now()) | col(model.id).in_(surplus_ids)))


class UserCredentials(Generic[T]):
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
        row: T = require_found(await self.session.scalar(statement.returning(self.model)))
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
