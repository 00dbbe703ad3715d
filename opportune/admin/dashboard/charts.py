"""Charts of new rows, for `Feature(metrics=[Metric("Messages", Message.created_at)])`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.admin.dashboard.list_links import date_filter, list_url
from opportune.admin.dashboard.ranges import DAY, Range
from opportune.admin.lists.filters import choice_parameter
from opportune.admin.protocols import View
from opportune.db.models.columns import choice_label, choices_of
from opportune.feature import Metric
from opportune.i18n import gettext, ngettext
from opportune.i18n.formats import format_month_day
from opportune.web.time_zone import local, start_of_day

MINUTES_PER_DAY = 24 * 60
WIDTH, HEIGHT = 300, 64
"""Size of the drawing, which is stretched to the width of its card."""


@dataclass(frozen=True)
class Point:
    """Rows of a day, of a week, or with one choice."""

    label: str
    number: int
    url: str = ""


@dataclass(frozen=True)
class Chart:
    label: str
    points: Sequence[Point]
    previous_total: int
    """Count of the period before."""
    days: int
    """Length of the period."""
    days_of_point: int = 1
    """Days of a point: 1 or 7."""
    shape: str = "line"
    """`line`, `bar`, or `choices` for a bar for each choice."""

    @cached_property
    def total(self) -> int:
        return sum(point.number for point in self.points)

    @cached_property
    def max_number(self) -> int:
        return max((point.number for point in self.points), default=0)

    @property
    def change(self) -> float | None:
        """Return the growth, 0.5 for 50 % more; None if the earlier count is zero."""
        return self.total / self.previous_total - 1 if self.previous_total else None

    @property
    def period_label(self) -> str:
        if self.days_of_point > 1:
            return ngettext("last %(num)s week", "last %(num)s weeks", self.days // self.days_of_point)
        return ngettext("last %(num)s day", "last %(num)s days", self.days)

    @property
    def step(self) -> float:
        return WIDTH / len(self.points)

    def height_of(self, point: Point) -> float:
        return round(point.number / self.max_number * (HEIGHT - 4), 1) if self.max_number else 0

    def percent_of(self, point: Point) -> float:
        return round(100 * point.number / self.max_number, 1) if self.max_number else 0

    @property
    def line(self) -> str:
        """Return the `points` of an SVG polyline. It reaches both edges."""
        step = WIDTH / max(len(self.points) - 1, 1)
        tops = [
            f"{index * step:.1f},{HEIGHT - 2 - self.height_of(point):.1f}" for index, point in enumerate(self.points)
        ]
        return " ".join(tops)


async def read_chart(session: AsyncSession, metric: Metric, range_: Range, conditions: Sequence[Any] = ()) -> Chart:
    """Count the rows of each day, in this range and in the range before."""
    column: ColumnElement[datetime] = metric.at
    first_day = range_.first_day()
    since, end = start_of_day(first_day - range_.days * DAY), start_of_day(range_.last_day() + DAY)
    interval = _interval_column(column, session.get_bind().dialect.name, _interval_length(since, end))
    query = select(interval.label("interval_of_metric"), func.count()).where(column >= since, column < end, *conditions)
    counts: Counter[date] = Counter()
    for text, number in await session.execute(query.group_by("interval_of_metric")):
        counts[_local_day(text)] += number
    points = [Point(_day_label(first, range_), sum(counts[day] for day in days)) for first, days in range_.steps()]
    previous = sum(number for day, number in counts.items() if day < first_day)
    return Chart(metric.label, points, previous, range_.days, range_.step, metric.shape)


async def read_choices(
    session: AsyncSession, metric: Metric, range_: Range, conditions: Sequence[Any], view: View
) -> Chart:
    """Count the rows with each choice of the column `by`."""
    counts = {
        value: (now, before) for value, now, before in await session.execute(_by_choice(metric, range_, conditions))
    }
    name = metric.by.key
    choices = [*(choices_of(metric.model, name) or (True, False)), *([None] if None in counts else [])]
    since = date_filter(view, metric.at, range_)
    points = [
        Point(
            _choice_text(value), counts.get(value, (0, 0))[0], list_url(view, {name: choice_parameter(value), **since})
        )
        for value in choices
    ]
    previous = sum(before for _, before in counts.values())
    return Chart(metric.label, points, previous, range_.days, range_.step, "choices")


def _by_choice(metric: Metric, range_: Range, conditions: Sequence[Any]) -> Select[Any]:
    column: ColumnElement[datetime] = metric.at
    first, end = start_of_day(range_.first_day()), start_of_day(range_.last_day() + DAY)
    numbers = func.count().filter(column >= first), func.count().filter(column < first)
    start = start_of_day(range_.first_day() - range_.days * DAY)
    return select(metric.by, *numbers).where(column >= start, column < end, *conditions).group_by(metric.by)


def _choice_text(value: Any) -> str:
    if value is None:
        return gettext("Empty")
    if isinstance(value, bool):
        return gettext("Yes") if value else gettext("No")
    return choice_label(value)


def _day_label(day: date, range_: Range) -> str:
    label = format_month_day(day)
    return gettext("Week from %(day)s", day=label) if range_.step > 1 else label


def _interval_length(since: datetime, end: datetime) -> int:
    """Return the characters of a UTC time that decide its local day: the day, or also hours, 10 minutes or minutes.

    The length depends on the offsets of the zone, such as +05:30. Clocks change at full hours or at half ones.
    """
    offsets = [local(since + number * DAY).utcoffset() for number in range((end - since).days + 1)]
    minutes = {offset.total_seconds() / 60 for offset in offsets if offset}
    units = ((MINUTES_PER_DAY, 10), (60, 13), (10, 15))
    return next((length for unit, length in units if all(number % unit == 0 for number in minutes)), 16)


def _interval_column(column: ColumnElement[datetime], dialect: str, length: int) -> ColumnElement[str]:
    # SQLite stores UTC as text. PostgreSQL would use the connection's time zone.
    is_text = dialect != "postgresql"
    text = column if is_text else func.to_char(func.timezone("UTC", column), "YYYY-MM-DD HH24:MI")
    return func.substr(text, 1, length)


def _local_day(interval: str) -> date:
    """Return the day of a UTC time whose end is cut off, in the user's zone."""
    return local(datetime.fromisoformat(interval + "0000-00-00 00:00"[len(interval) :])).date()
