"""Days, weeks, months, quarters and years as groups of a report, in the time zone of the user."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_day, format_month, format_month_day, week_start
from opportune.web.time_zone import current_zone, local

UNITS = {"day": _l("Day"), "week": _l("Week"), "month": _l("Month"), "quarter": _l("Quarter"), "year": _l("Year")}
KEY_LENGTHS = {"day": 10, "week": 10, "month": 7, "quarter": 7, "year": 4}
"""Characters of a day such as 2026-11-03 that the database groups by."""
REST = "-"
"""Key of all older periods."""
MAX_DAYS = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""Between these times, clock changes are exact."""
WEEK, HOUR = timedelta(weeks=1), timedelta(hours=1)
ZERO_TIME = "0000-00-00 00:00:00"


def period_of(key: str, unit: str) -> date:
    """Return the first day of the period with a key of the database."""
    return first_day(date.fromisoformat(f"{key}-01-01"[:10]), unit)


def first_day(day: date, unit: str) -> date:
    match unit:
        case "week":
            return week_start(day)
        case "quarter":
            return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
        case "month":
            return day.replace(day=1)
        case "year":
            return date(day.year, 1, 1)
    return day


def next_period(first: date, unit: str) -> date:
    return first_day(first + timedelta(MAX_DAYS[unit]), unit)


def period_label(first: date, unit: str) -> str:
    match unit:
        case "week":
            return gettext("Week from %(day)s", day=format_day(first))
        case "month":
            return format_month(first)
        case "quarter":
            return gettext("Q%(number)s %(year)s", number=(first.month + 2) // 3, year=first.year)
        case "year":
            return str(first.year)
    return format_day(first)


def axis_label(first: date, unit: str) -> str:
    return format_month_day(first) if unit in ("day", "week") else period_label(first, unit)


Convert = Callable[[ColumnElement[Any]], ColumnElement[Any]]


def _unchanged(key: ColumnElement[Any]) -> ColumnElement[Any]:
    return key


@dataclass(frozen=True)
class GroupKey:
    """Expressions by which rows are grouped."""

    of_row: Any
    """Expression that the database computes quickly for each row."""
    of_group: Convert = _unchanged
    """Return the key of a group with this value, or that of the rest."""


async def period_key(
    session: AsyncSession, rows: Select[Any], column: Any, unit: str, limit: int, *, is_moment: bool
) -> GroupKey:
    """Return the beginning of the local day. Only the newest periods, as many as the limit, have their own key."""
    times = rows.with_only_columns(column.label("at"), maintain_column_froms=True).order_by(None).subquery()
    first, last = (await session.execute(select(func.min(times.c.at), func.max(times.c.at)))).one()
    oldest = _oldest_shown(first, last, unit, limit) if first else ""
    to_local: Convert = _unchanged
    length, text, zone = KEY_LENGTHS[unit], column, current_zone.get()
    if session.get_bind().dialect.name == "postgresql":
        local_time = func.timezone(str(zone), column) if is_moment else column
        text = func.to_char(local_time, "YYYY-MM-DD")
    elif is_moment and first and zone is not UTC:
        length, to_local = _local_key(unit, _offsets(max(first, FIRST), min(last, LAST)))

    def of_group(key: ColumnElement[Any]) -> ColumnElement[Any]:
        day = to_local(key)
        return case((day < oldest, REST), else_=day) if oldest else day

    return GroupKey(func.substr(text, 1, length), of_group)


def _oldest_shown(first: date, last: date, unit: str, limit: int) -> str:
    """Return the beginning of the oldest period that is shown; empty if there are no older rows."""
    days = (local(end).date() if isinstance(end, datetime) else end for end in (first, last))
    start, oldest = (first_day(day, unit) for day in days)
    for _ in range(limit - 1):
        if oldest > start:
            oldest = first_day(oldest - timedelta(1), unit)
    return oldest.isoformat()[: KEY_LENGTHS[unit]] if oldest > start else ""


def _local_key(unit: str, offsets: Sequence[tuple[datetime, timedelta]]) -> tuple[int, Convert]:
    """Return the length of a UTC time to group by, and the local day of such a group.

    SQLite has no time zones, and computes dates slowly. So it groups by the hour, or by the minute if the offsets of
    the zone are not full hours, and computes a date for each group.
    """
    length = 13 if all(offset % HOUR == timedelta() for _, offset in offsets) else 16
    (_, oldest), *later = offsets

    def to_local(key: ColumnElement[Any]) -> ColumnElement[Any]:
        moment: ColumnElement[Any] = key.concat(ZERO_TIME[length:])
        newest_first = [(moment >= f"{at:%Y-%m-%d %H:%M:%S}", _modifier(offset)) for at, offset in reversed(later)]
        shift = case(*newest_first, else_=_modifier(oldest)) if newest_first else _modifier(oldest)
        return func.substr(func.strftime("%Y-%m-%d", moment, shift), 1, KEY_LENGTHS[unit])

    return length, to_local


def _modifier(offset: timedelta) -> str:
    """Return an offset in the syntax of SQLite's date functions."""
    return f"{offset.total_seconds():+.0f} seconds"


def _offsets(first: datetime, last: datetime) -> Sequence[tuple[datetime, timedelta]]:
    """Return the offsets of local time from UTC between two times, each with the time at which it begins."""
    offsets, week = [(first, _offset(first))], first.replace(second=0, microsecond=0)
    while week < last:
        following = week + WEEK
        if _offset(following) != _offset(week):
            offsets.append((_change_after(week), _offset(following)))
        week = following
    return offsets


def _change_after(week: datetime) -> datetime:
    """Return the time at which clocks change in the week that begins now."""
    times = [week + timedelta(minutes=minute) for minute in range(WEEK // timedelta(minutes=1))]
    return times[bisect_left(times, True, key=lambda time: _offset(time) != _offset(week))]


def _offset(moment: datetime) -> timedelta:
    return local(moment).utcoffset() or timedelta()
