"""Date hierarchy of a list: links to the years, months and days that have rows, in the visitor's time zone."""

from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, false, func, literal, select
from starlette.datastructures import QueryParams
from starlette.requests import Request

from opportune.admin.base import BaseAdminView
from opportune.admin.lists.parameters import filtered_query, url_without
from opportune.admin.lists.range_filters import DAY
from opportune.db.models.columns import is_indexed, python_type_of
from opportune.i18n import gettext
from opportune.i18n.formats import format_day, format_month
from opportune.web.time_zone import local, start_of_day

PARTS = ("year", "month", "day")
MAX_YEARS = 50
MAX_READ_ROWS = 10_000
"""Maximum rows to read for a column without an index. If there are more, the list links all periods."""


class Period(NamedTuple):
    """A year, a month of it or a day of that month."""

    parts: Sequence[int]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "Period":
        """Return the period with these numbers.

        Raises:
            ValueError: The period does not exist.
        """
        year, month, day = (*map(int, texts), 1, 1)[:3]
        first = date(year, month, day)
        return cls((first.year, first.month, first.day)[: len(texts)])

    @property
    def first(self) -> date:
        year, month, day = (*self.parts, 1, 1)[:3]
        return date(year, month, day)

    @property
    def last(self) -> date:
        if len(self.parts) == 1:
            return date(self.parts[0], 12, 31)
        return self.first if len(self.parts) == 3 else self.first.replace(day=monthrange(*self.parts)[1])

    @property
    def label(self) -> str:
        if len(self.parts) == 1:
            return str(self.parts[0])
        return format_day(self.first) if len(self.parts) == 3 else format_month(self.first)

    def inside(self) -> Iterator["Period"]:
        """Yield the months of a year or the days of a month."""
        if len(self.parts) < 3:
            count = 12 if len(self.parts) == 1 else self.last.day
            yield from (Period((*self.parts, number)) for number in range(1, count + 1))


class PeriodLinks(NamedTuple):
    """The selected period and the periods inside it that have rows, as labels and URLs."""

    title: str
    selected: str
    parents: Sequence[tuple[str, str]]
    periods: Sequence[tuple[str, str]]


class DateHierarchy:
    """Filter by year, month and day of a date or time: `?created_at__year=2026&created_at__month=3`."""

    def __init__(self, view: BaseAdminView, name: str) -> None:
        self.name = name
        self.title = view.labels.get(name, name)
        self.parameters = tuple(f"{name}__{part}" for part in PARTS)
        self.attribute = getattr(view.model, name)
        self.column = view.mapper.columns[name]
        self.is_moment = issubclass(python_type_of(self.column), datetime)

    def selected(self, query: QueryParams) -> Period | None:
        """Return the selected period, or None.

        Raises:
            ValueError: The period does not exist.
        """
        texts = [query.get(name, "") for name in self.parameters]
        while texts and not texts[-1]:
            texts.pop()
        if not texts:
            return None
        return Period.parse(texts)  # the empty year or month of a day is not a number

    def condition(self, query: QueryParams) -> ColumnElement[bool] | None:
        """Return the condition for the selected period. A period that does not exist has no rows."""
        try:
            period = self.selected(query)
        except (ValueError, OverflowError):
            return false()
        return self.is_in(self.attribute, period) if period else None

    def is_in(self, column: Any, period: Period) -> ColumnElement[bool]:
        bounds: list[ColumnElement[bool]] = []
        if period.first.year > date.min.year:  # no time zone can convert the first and the last day of the calendar
            bounds.append(column >= self._start(period.first))
        if period.last.year < date.max.year:
            bounds.append(column < self._start(period.last + DAY))
        return and_(*bounds)

    def _start(self, day: date) -> date:
        return start_of_day(day) if self.is_moment else day

    async def links(self, request: Request, view: BaseAdminView) -> PeriodLinks | None:
        """Return the links above the list, or None if the list has no dates."""
        try:
            period = self.selected(request.query_params)
        except (ValueError, OverflowError):
            return self._links(request, None, [])
        rows = (await filtered_query(request, view)).order_by(None)
        candidates = list(period.inside()) if period else await self._outermost_periods(view, rows)
        if not (candidates or period):
            return None
        return self._links(request, period, await self._with_rows(view, rows, candidates))

    def _links(self, request: Request, selected: Period | None, periods: Sequence[Period]) -> PeriodLinks:
        wider_periods: list[tuple[str, str]] = []
        if any(request.query_params.get(name) for name in self.parameters):
            wider_periods.append((gettext("All dates"), url_without(request, self.parameters)))
        if selected:
            parents = [Period(selected.parts[:count]) for count in range(1, len(selected.parts))]
            wider_periods += [(period.label, self._url(request, period)) for period in parents]
        links = [(period.label, self._url(request, period)) for period in periods]
        return PeriodLinks(self.title, selected.label if selected else "", wider_periods, links)

    def _url(self, request: Request, period: Period) -> str:
        return url_without(request, self.parameters, **dict(zip(self.parameters, period.parts, strict=False)))

    async def _outermost_periods(self, view: BaseAdminView, rows: Select[Any]) -> list[Period]:
        """Return the years of the rows, the months if all are in one year, or the days of their only month."""
        ends = [_value(rows, function(self.attribute)).scalar_subquery() for function in (func.min, func.max)]
        [(first, last)] = await view.queries.tuples(select(*ends))
        if first is None:
            return []
        if self.is_moment:
            first, last = local(first), local(last)
        if first.year < last.year:
            first_year = max(first.year, last.year - MAX_YEARS + 1)
            return [Period((year,)) for year in range(first_year, last.year + 1)]
        parts = (first.year,) if first.month < last.month else (first.year, first.month)
        return list(Period(parts).inside())

    async def _with_rows(self, view: BaseAdminView, rows: Select[Any], periods: Sequence[Period]) -> Sequence[Period]:
        """Return the periods that have rows, or all if there are too many rows to read without an index."""
        if not periods:
            return []
        if is_indexed(self.column):
            matches = [_value(rows.where(self.is_in(self.attribute, period)), literal(1)) for period in periods]
            [flags] = await view.queries.tuples(select(*(match.exists() for match in matches)))
        else:
            sample = _value(rows, self.attribute.label("moment")).limit(MAX_READ_ROWS + 1).subquery().c.moment
            matching = [func.max(case((self.is_in(sample, period), 1), else_=0)) for period in periods]
            [(count, *flags)] = await view.queries.tuples(select(func.count(), *matching).select_from(sample.table))
            if count > MAX_READ_ROWS:
                return periods
        return [period for period, has_rows in zip(periods, flags, strict=True) if has_rows]


def _value(rows: Select[Any], value: Any) -> Select[Any]:
    return rows.with_only_columns(value, maintain_column_froms=True)
