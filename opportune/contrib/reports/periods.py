"""Days, weeks, months, quarters and years as groups of a report, in the time zone of the user."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_day, format_month, format_month_day, week_start
from opportune.web.time_zone import current_zone, find_zone, local, local_day_precision

UNITS = {"day": _l("Day"), "week": _l("Week"), "month": _l("Month"), "quarter": _l("Quarter"), "year": _l("Year")}
KEY_LENGTHS = {"day": 10, "week": 10, "month": 7, "quarter": 7, "year": 4}
"""Characters of a day such as 2026-11-03 that the database groups by."""
REST = "-"
"""Key of all older periods."""
MAX_DAYS = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}
LOCAL_TIMES = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
"""First and last time that have a local day in all zones."""
HAS_LOCAL_DAY = "computes_local_days"
"""Key in the `info` of a connection that has the function `local_day`."""


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


def last_day(first: date, unit: str) -> date:
    """Return the last day of the period that begins on a day, which is the last of the calendar at its end."""
    next_ordinal = min(first.toordinal() + MAX_DAYS[unit], date.max.toordinal())
    following = first_day(date.fromordinal(next_ordinal), unit)
    return following - timedelta(1) if following > first else date.max


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


class GroupKey(NamedTuple):
    """Expressions by which rows are grouped."""

    of_row: Any
    """Expression that the database computes quickly for each row."""
    of_group: Convert = _unchanged
    """Return the key of a group with this value, or that of the rest."""
    rest: Any = None
    """Key of the rest."""


async def period_key(
    session: AsyncSession, rows: Select[Any], column: Any, unit: str, limit: int, *, is_moment: bool
) -> GroupKey:
    """Return the beginning of the local day. Only the newest periods, as many as the limit, have their own key."""
    times = rows.with_only_columns(column.label("at"), maintain_column_froms=True).order_by(None).subquery()
    first, last = (await session.execute(select(func.min(times.c.at), func.max(times.c.at)))).one()
    oldest = _oldest_shown(first, last, unit, limit) if first else ""
    zone = current_zone.get()

    def merge_older(key: ColumnElement[Any]) -> ColumnElement[Any]:
        return case((key < oldest, REST), else_=key) if oldest else key

    def merge_older_local(moment: ColumnElement[Any]) -> ColumnElement[Any]:
        return merge_older(func.substr(func.local_day(moment, str(zone)), 1, KEY_LENGTHS[unit]))

    is_postgresql = session.get_bind().dialect.name == "postgresql"
    if is_moment and first and zone is not UTC and not is_postgresql:
        # SQLite calls a function for local days, so it groups by the hour or minute first.
        await _add_local_day(session)
        return GroupKey(func.substr(column, 1, local_day_precision(first, last)), merge_older_local, REST)
    text = _day_on_postgresql(column, str(zone), is_moment=is_moment) if is_postgresql else column
    return GroupKey(func.substr(text, 1, KEY_LENGTHS[unit]), merge_older, REST)


def _day_on_postgresql(column: Any, zone: str, *, is_moment: bool) -> ColumnElement[str]:
    """Return the local day as text. Times at the ends of the calendar stay in UTC, as in `local`."""
    zone_name = case((column.between(*LOCAL_TIMES), zone), else_="UTC")
    return func.to_char(func.timezone(zone_name, column) if is_moment else column, "YYYY-MM-DD")


def _oldest_shown(first: date, last: date, unit: str, limit: int) -> str:
    """Return the beginning of the oldest period that is shown; empty if there are no older rows."""
    days = (local(end).date() if isinstance(end, datetime) else end for end in (first, last))
    start, oldest = (first_day(day, unit) for day in days)
    for _ in range(limit - 1):
        if oldest > start:
            oldest = first_day(oldest - timedelta(1), unit)
    return oldest.isoformat()[: KEY_LENGTHS[unit]] if oldest > start else ""


async def _add_local_day(session: AsyncSession) -> None:
    """Register the function `local_day` in the connection of a session, once."""
    pooled = await (await session.connection()).get_raw_connection()
    if HAS_LOCAL_DAY not in pooled.info:
        driver: Any = pooled.driver_connection
        await driver.create_function(local_day.__name__, 2, local_day, deterministic=True)
        pooled.info[HAS_LOCAL_DAY] = True


def local_day(moment: str | None, zone: str) -> str | None:
    """Return the day of a UTC time in a zone."""
    if moment is None:
        return None
    try:
        return datetime.fromisoformat(moment).replace(tzinfo=UTC).astimezone(find_zone(zone)).date().isoformat()
    except OverflowError:  # the zone has no such day
        return moment[:10]
