"""Demonstration rows of a model, for `Demo` of a feature."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import BigInteger, String, and_, cast, delete, extract, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.clock import utc_now
from opportune.errors import OperatorError

S = TypeVar("S")

MARK_MICROSECONDS = 202_601
"""Part of the creation times. With the second of the day, no other row has them."""


class DemoRows(Generic[S]):
    """Rows of the last days that are identified by the time of day in `created_at`, even after a user edits them.

    Args:
        samples: What each row is made of, the oldest one first.
        first: Its time of day belongs to the first row, and those of further rows follow by minutes. Rows of older
            releases also have its date.
    """

    def __init__(self, model: type[Any], samples: Sequence[S], first: datetime) -> None:
        self._model = model
        self._created_at = model.created_at
        first = first.astimezone(UTC)
        former_times = [first + timedelta(minutes=number) for number in range(len(samples))]
        if any(time.date() != first.date() for time in former_times):
            raise OperatorError(f"The minutes of DemoRows({model.__name__}, …) pass midnight in UTC. Begin earlier.")
        self._samples = dict(zip((time.timetz() for time in former_times), samples, strict=True))
        self.is_marked = and_(
            (cast(extract("epoch", self._created_at), BigInteger) % 86_400).in_(
                [time.hour * 3600 + time.minute * 60 + time.second for time in self._samples]
            ),
            cast(self._created_at, String).contains(f".{MARK_MICROSECONDS}"),
        )
        self.condition = or_(self.is_marked, self._created_at.in_(former_times))

    async def missing(self, session: AsyncSession) -> list[tuple[datetime, S]]:
        """Return the samples without a row, each with the creation time of its row: yesterday for the last one."""
        times = await session.scalars(select(self._created_at).where(self.condition))
        existing = {time.astimezone(UTC).replace(microsecond=0).timetz() for time in times}
        today = utc_now().date()
        days = range(len(self._samples), 0, -1)
        return [
            (datetime.combine(today - timedelta(age), time).replace(microsecond=MARK_MICROSECONDS), sample)
            for age, (time, sample) in zip(days, self._samples.items(), strict=True)
            if time not in existing
        ]

    async def clear(self, session: AsyncSession) -> int:
        """Delete the rows, and return their number."""
        rows = await session.execute(delete(self._model).where(self.condition).returning(self._created_at))
        return len(rows.all())
