"""Where one person is signed in, and the tokens of their programs."""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import Select, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import ApiToken, Session
from opportune.db.model import utc_now
from opportune.errors import NotFound

T = TypeVar("T", Session, ApiToken)


class Devices:
    """Of one person: for this class nobody else has any."""

    def __init__(self, session: AsyncSession, user_id: int) -> None:
        self.session = session
        self.user_id = user_id

    async def sessions(self) -> Sequence[Session]:
        """Those that are not over, the last used first."""
        query = self._own(Session).order_by(col(Session.seen_at).desc(), col(Session.id).desc())
        return (await self.session.scalars(query)).all()

    async def tokens(self) -> Sequence[ApiToken]:
        """Those that are not over, the newest first."""
        return (await self.session.scalars(self._own(ApiToken).order_by(col(ApiToken.id).desc()))).all()

    async def end(self, kind: type[T], row_id: int) -> None:
        """Raises NotFound."""
        gone = delete(kind).where(col(kind.id) == row_id, col(kind.user_id) == self.user_id)
        if await self.session.scalar(gone.returning(col(kind.id))) is None:
            raise NotFound

    async def end_all(self, kind: type[T], keep: int | None = None) -> None:
        """All of a kind, but the one with the id `keep`."""
        gone = delete(kind).where(col(kind.user_id) == self.user_id)
        await self.session.execute(gone if keep is None else gone.where(col(kind.id) != keep))

    def _own(self, kind: type[T]) -> Select[tuple[T]]:
        return select(kind).where(col(kind.user_id) == self.user_id, col(kind.expires_at) > utc_now())
