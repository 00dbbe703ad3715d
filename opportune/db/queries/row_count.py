"""Numbers of rows that cost little on large tables: counted up to a limit, and estimated above it."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from math import inf
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import ClauseElement, Executable, Integer, Select, bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles

from opportune.db.models.soft_delete import SoftDelete
from opportune.i18n import gettext
from opportune.i18n.formats import format_number
from opportune.pagination import select_key

MAX_COUNTED_ROWS = 10_000
COUNT_LIFETIME_SECONDS = 10.0
"""Minimum seconds in which a large list is not counted again."""
MAX_COUNTING_SHARE = 0.01
"""Part of the time that may be spent on counting one list."""
MAX_RECENT_COUNTS = 1_000
ESTIMATE_DIGITS = 2
"""Significant digits of an estimate."""
COUNTED = bindparam("counted", type_=Integer)
"""Parameter with the maximum count of a list."""


@dataclass(frozen=True)
class RowCount:
    number: int
    """At least this many if `is_exact` is False and there is no estimate."""
    is_exact: bool = True

    @property
    def is_large(self) -> bool:
        return self.number > MAX_COUNTED_ROWS or not self.is_exact

    def __str__(self) -> str:
        if self.is_exact:
            return format_number(self.number)
        if self.number <= MAX_COUNTED_ROWS:
            return gettext("more than %(number)s", number=format_number(MAX_COUNTED_ROWS))
        estimate = round(self.number, ESTIMATE_DIGITS - len(str(self.number)))
        return gettext("about %(number)s", number=format_number(estimate))


async def read_row_count(session: AsyncSession, query: Select[Any]) -> RowCount:
    """Count the rows of a query, which selects a key and has no order, up to the limit. Estimate larger numbers."""
    number = (await session.scalars(_count(query.limit(MAX_COUNTED_ROWS + 1)))).one()
    return RowCount(number) if number <= MAX_COUNTED_ROWS else await estimate_row_count(session, query)


def count_listed_rows(session: AsyncSession, query: Select[Any], key: Any, model: Any = None) -> Select[int]:
    """Return the statement that counts the rows of a list, at most as many as its parameter `counted`.

    SQLite counts a whole table without reading its rows, so it counts all of them, unless the parameter is 0.

    Args:
        model: The model, if the rows are its whole table and their number is remembered.
    """
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    if model is None or not is_sqlite or issubclass(model, SoftDelete):
        return _count(select_key(query, key).limit(COUNTED))
    return _count_table(model)


@cache
def _count_table(model: Any) -> Select[int]:
    number = select(func.count()).select_from(model).correlate(None).scalar_subquery()
    return select(case((COUNTED > 0, number), else_=0))


def _count(query: Select[Any]) -> Select[int]:
    return select(func.count()).select_from(query.subquery())


async def estimate_row_count(session: AsyncSession, query: Select[Any]) -> RowCount:
    """Return about the number of rows of a query with more than `MAX_COUNTED_ROWS`, read in the last seconds."""
    compiled = query.compile(dialect=session.get_bind().dialect)
    recent = recent_counts(session)
    key = (str(compiled), repr(compiled.params), repr(query.get_execution_options()))
    if (count := recent.find(key)) is None:
        started_at = monotonic()
        count = await _estimate(session, query)
        recent.add(key, count, monotonic() - started_at)
    return count


async def _estimate(session: AsyncSession, query: Select[Any]) -> RowCount:
    number = MAX_COUNTED_ROWS
    if session.get_bind().dialect.name == "postgresql":
        ((plans,),) = (await session.execute(Explain(query))).all()
        number = max(int(plans[0]["Plan"]["Plan Rows"]), MAX_COUNTED_ROWS + 1)
    elif query.whereclause is None:  # SQLite reads only the smallest index
        number = (await session.execute(_count(query))).scalar_one()
    return RowCount(number, is_exact=False)


class RecentCounts:
    """Numbers of rows of large lists of one database, so that not every page of them counts."""

    def __init__(self) -> None:
        self._counts: dict[Hashable, tuple[float, RowCount]] = {}

    def find(self, key: Hashable) -> RowCount | None:
        expires_at, count = self._counts.get(key, (-inf, None))
        return count if monotonic() < expires_at else None

    def add(self, key: Hashable, count: RowCount, counting_seconds: float = 0) -> None:
        """Remember a number, for longer if it took long to count."""
        if len(self._counts) >= MAX_RECENT_COUNTS:
            self._counts.clear()
        lifetime_seconds = max(counting_seconds / MAX_COUNTING_SHARE, COUNT_LIFETIME_SECONDS)
        self._counts[key] = (monotonic() + lifetime_seconds, count)


_recent_counts = WeakKeyDictionary[Any, RecentCounts]()


def recent_counts(session: AsyncSession) -> RecentCounts:
    return _recent_counts.setdefault(session.get_bind(), RecentCounts())


class Explain(Executable, ClauseElement):
    """EXPLAIN of a statement: JSON on PostgreSQL, rows on SQLite."""

    inherit_cache = False

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement


@compiles(Explain, "postgresql")
def _compile_explain(element: Explain, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **options)}"


@compiles(Explain, "sqlite")
def _compile_query_plan(element: Explain, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN QUERY PLAN {compiler.process(element.statement, **options)}"
