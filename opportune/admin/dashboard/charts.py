"""Charts of new rows per day, for `Feature(metrics=[Metric("Messages", Message.created_at)])`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.models.model import utc_now
from opportune.feature import Metric

CHART_DAYS = 30


@dataclass(frozen=True)
class Chart:
    label: str
    days: Sequence[tuple[date, int]]
    """Counts of the last 30 days. Today is the last entry."""
    previous_total: int
    """Count of the 30 days before."""

    @property
    def total(self) -> int:
        return sum(number for _, number in self.days)

    @property
    def max_per_day(self) -> int:
        return max(number for _, number in self.days)

    @property
    def change(self) -> float | None:
        """Return the growth, 0.5 for 50 % more; None if the earlier count is zero."""
        return self.total / self.previous_total - 1 if self.previous_total else None


async def read_chart(session: AsyncSession, metric: Metric) -> Chart:
    today = utc_now().date()
    first_day = today - timedelta(days=2 * CHART_DAYS - 1)
    column: ColumnElement[datetime] = metric.at
    day = _day_column(column, session.get_bind().dialect.name).label("day_of_metric")
    since = datetime.combine(first_day, datetime.min.time(), UTC)
    rows = await session.execute(select(day, func.count()).where(column >= since).group_by("day_of_metric"))
    counts = {str(day_): number for day_, number in rows}
    days = [
        (day_, counts.get(str(day_), 0))
        for day_ in (first_day + timedelta(days=offset) for offset in range(2 * CHART_DAYS))
    ]
    return Chart(metric.label, days[CHART_DAYS:], sum(number for _, number in days[:CHART_DAYS]))


def _day_column(column: ColumnElement[datetime], dialect: str) -> ColumnElement[Any]:
    # PostgreSQL would use the connection's time zone. SQLite stores UTC as text that begins with the day.
    return func.date(func.timezone("UTC", column)) if dialect == "postgresql" else func.substr(column, 1, 10)
