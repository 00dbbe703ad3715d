"""What sessions and tokens have in common: rows with the hash of a random text, ended by what they were given for."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import Connection, delete, event, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import ApiToken, Session, User
from opportune.db.model import utc_now
from opportune.errors import NotFound

MAX_CREDENTIALS_PER_USER = 100
"""Sessions, and tokens, that one person can have: signing in again and again fills no disk."""

INVALIDATING_FIELDS = ("hashed_password", "is_active", "is_staff", "is_superuser")
"""What sessions and tokens were given out for: none of them outlives a change."""

T = TypeVar("T", Session, ApiToken)


def hash_token(token: str) -> str:
    """What is stored of a token. It is random and long: nothing slower is needed, and this is found by an index."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


async def prune(session: AsyncSession, user: User, kind: type[Session | ApiToken]) -> None:
    """Make room for one more: the user's expired ones go, and of too many those that would end first."""
    mine, ends = col(kind.user_id) == user.id, col(kind.expires_at)
    too_many = (
        select(col(kind.id)).where(mine).order_by(ends.desc(), col(kind.id).desc()).offset(MAX_CREDENTIALS_PER_USER - 1)
    )
    await session.execute(delete(kind).where(mine, (ends <= utc_now()) | col(kind.id).in_(too_many)))


class UserCredentials(Generic[T]):
    """The sessions, or the tokens, of one user: for this class nobody else has any."""

    kind: type[T]
    newest_first: ClassVar[Sequence[Any]]
    """The columns to order by, downwards."""

    def __init__(self, session: AsyncSession, user_id: int) -> None:
        self.session = session
        self.user_id = user_id

    async def valid(self) -> Sequence[T]:
        """Those that are not over, in the order of `newest_first`."""
        valid = select(self.kind).where(col(self.kind.user_id) == self.user_id, col(self.kind.expires_at) > utc_now())
        return (await self.session.scalars(valid.order_by(*(column.desc() for column in self.newest_first)))).all()

    async def delete(self, row_id: int) -> T:
        """Delete one of them, and give what it was. Raises NotFound."""
        gone = delete(self.kind).where(col(self.kind.id) == row_id, col(self.kind.user_id) == self.user_id)
        row: T | None = await self.session.scalar(gone.returning(self.kind))
        if row is None:
            raise NotFound
        return row

    async def delete_one_of(self, row_id: int) -> None:
        """Delete one of them, if it is still there."""
        with suppress(NotFound):
            await self.delete(row_id)

    async def delete_all(self, keep: int | None = None) -> None:
        """Delete all but the one with the id `keep`."""
        gone = delete(self.kind).where(col(self.kind.user_id) == self.user_id)
        await self.session.execute(gone if keep is None else gone.where(col(self.kind.id) != keep))


@event.listens_for(User, "after_update")
def _delete_when_invalidated(_mapper: Any, connection: Connection, user: User) -> None:
    """Whoever changes it, by page, admin or command. Statements that update many rows at once pass this by."""
    attributes = inspect(user, raiseerr=True).attrs
    if any(attributes[name].history.has_changes() for name in INVALIDATING_FIELDS):
        for kind in (Session, ApiToken):
            connection.execute(delete(kind).where(col(kind.user_id) == user.id))
