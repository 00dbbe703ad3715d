"""Reads the groups of a report in at most three statements, with limits of time and number."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, case, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.admin.lists.parameters import filtered_query
from opportune.admin.views import AdminView
from opportune.contrib.reports.fields import Grouping, Measure, Selection
from opportune.contrib.reports.periods import GroupKey, period_key, period_of
from opportune.contrib.statement_limits import time_limit
from opportune.db.models.columns import python_type_of

MAX_LINES, MAX_SPLITS = 100, 12
"""Periods and related rows that have their own group. Others are the rest, which are the smallest or oldest ones."""
SUMS = ("count", "total", "low", "high")


class Rest:
    """Key of the group with all other rows."""


@dataclass(frozen=True)
class Sums:
    """Numbers of a group that can be added to those of another."""

    count: int = 0
    """Rows with a number."""
    total: Any = 0
    low: Any = None
    high: Any = None

    def __add__(self, other: "Sums") -> "Sums":
        lows = [low for low in (self.low, other.low) if low is not None]
        highs = [high for high in (self.high, other.high) if high is not None]
        count, total = self.count + other.count, self.total + other.total
        return Sums(count, total, min(lows, default=None), max(highs, default=None))

    def value(self, function: str) -> Any:
        """Return the result of a function; None for the average, minimum or maximum of no numbers."""
        match function:
            case "avg":
                return self.total / self.count if self.count else None
            case "min":
                return self.low
            case "max":
                return self.high
        return self.total


Keys = tuple[Hashable, ...]
Groups = Mapping[Keys, Sums]
"""Sums by the key of each grouping: a choice, an id, the first day of a period, None or `Rest`."""


async def read_groups(request: Request, view: AdminView, selection: Selection, seconds: float) -> Groups:
    """Read the groups of the rows that match the URL and that the user may list.

    Raises:
        StatementTooLong: The database takes too long.
    """
    rows = await filtered_query(request, view)
    measure = selection.measure
    groupings = [selection.grouping]
    async with view.site.database.reader() as session, time_limit(session, seconds):
        keys = [await _group_key(session, view, rows, selection.grouping, MAX_LINES, measure)]
        if selection.split:
            groupings.append(selection.split)
            keys.append(await _group_key(session, view, rows, selection.split, MAX_SPLITS, measure))
        groups = _group_rows(view, rows, [key.of_row for key in keys], measure)
        buckets = [key.of_group(groups.c[_name(index)]) for index, key in enumerate(keys)]
        merged = (await session.execute(_merge_groups(groups, buckets))).all()
    return _merge(measure, groupings, [key.rest for key in keys], merged)


def _name(index: int) -> str:
    return f"key_{index}"


async def _group_key(
    session: AsyncSession, view: AdminView, rows: Select[Any], grouping: Grouping, limit: int, measure: Measure
) -> GroupKey:
    attribute = getattr(view.model, grouping.name)
    if grouping.unit:
        is_moment = issubclass(python_type_of(view.mapper.columns[grouping.name]), datetime)
        return await period_key(session, rows, attribute, grouping.unit, limit, is_moment=is_moment)
    if not grouping.is_reference:
        return GroupKey(attribute)
    groups = _group_rows(view, rows, [attribute], measure)
    key = groups.c[_name(0)]
    size = groups.c.total if measure.function == "sum" else groups.c.count
    query = select(key).where(key.is_not(None)).order_by(func.coalesce(size, 0).desc(), key).limit(limit + 1)
    largest = [*await session.scalars(query)]
    if len(largest) <= limit:
        return GroupKey(attribute)
    *shown, rest = largest  # the id of a row in the rest, because keys may be of any type
    return GroupKey(attribute, lambda key: case((key.not_in(shown), literal(rest, key.type)), else_=key), rest)


def _group_rows(view: AdminView, rows: Select[Any], keys: Sequence[Any], measure: Measure) -> Subquery:
    """Select the groups of the rows, before old periods and small groups are merged."""
    value = getattr(view.model, measure.name) if measure.name else literal(1)
    labels = [key.label(_name(index)) for index, key in enumerate(keys)]
    values = rows.with_only_columns(*labels, value.label("value"), maintain_column_froms=True).order_by(None).subquery()
    columns = [values.c[_name(index)] for index in range(len(keys))]
    number = values.c.value
    sums = func.count(number), func.sum(number), func.min(number), func.max(number)
    named = [function.label(name) for function, name in zip(sums, SUMS, strict=True)]
    return select(*columns, *named).group_by(*columns).subquery()


def _merge_groups(groups: Subquery, buckets: Sequence[ColumnElement[Any]]) -> Select[Any]:
    labels = [bucket.label(_name(index)) for index, bucket in enumerate(buckets)]
    named = select(*labels, *(groups.c[name] for name in SUMS)).subquery()
    keys = [named.c[_name(index)] for index in range(len(buckets))]
    count, total, low, high = (named.c[name] for name in SUMS)
    return select(*keys, func.sum(count), func.sum(total), func.min(low), func.max(high)).group_by(*keys)


def _merge(measure: Measure, groupings: Sequence[Grouping], rests: Sequence[Any], rows: Sequence[Any]) -> Groups:
    """Add up days and months that are in one week or quarter."""
    groups: dict[Keys, Sums] = {}
    for *keys, count, total, low, high in rows:
        parsed = tuple(map(_parse_key, groupings, rests, keys))
        number = total or 0
        if measure.is_whole:
            number = int(number)  # PostgreSQL returns a Decimal
        groups[parsed] = groups.get(parsed, Sums()) + Sums(int(count), number, low, high)
    return groups


def _parse_key(grouping: Grouping, rest: Any, key: Any) -> Hashable:
    """Return a key of the database as in `Groups`."""
    if key is None:
        return None
    if key == rest:
        return Rest
    return period_of(key, grouping.unit) if grouping.unit else key
