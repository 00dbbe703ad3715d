"""Demonstration rows of a model, for `Demo` of a feature."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

S = TypeVar("S")


class DemoRows(Generic[S]):
    """Rows that are identified by their `created_at`, even after a user edits them.

    Args:
        model: Model with a column `created_at`.
        samples: What each row is made of.
        first: Creation time of the first row, which no other row has. Further rows follow by minutes.
    """

    def __init__(self, model: type[Any], samples: Sequence[S], first: datetime) -> None:
        self._model, self._created_at = model, model.created_at
        self._samples = {first + timedelta(minutes=number): sample for number, sample in enumerate(samples)}
        self.condition = self._created_at.in_(self._samples)

    async def missing(self, session: AsyncSession) -> list[tuple[datetime, S]]:
        """Return the samples without a row, each with the creation time of its row."""
        existing = set(await session.scalars(select(self._created_at).where(self.condition)))
        return [(time, sample) for time, sample in self._samples.items() if time not in existing]

    async def clear(self, session: AsyncSession) -> int:
        """Delete the rows, and return their number."""
        rows = await session.execute(delete(self._model).where(self.condition).returning(self._created_at))
        return len(rows.all())
