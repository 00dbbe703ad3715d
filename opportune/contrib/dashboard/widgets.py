"""Widgets and sections of the dashboard. Features declare charts, numbers and tables in `metrics`.

Each widget takes one query, which is cached if it counts.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from itertools import chain, groupby
from typing import Any

from fastapi import FastAPI
from sqlalchemy import Column, ColumnElement, Select, Subquery, func, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import visitors
from starlette.datastructures import QueryParams
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.admin.authorization import is_superuser
from opportune.admin.base import BaseAdminSite
from opportune.admin.charts import Chart, Point
from opportune.admin.lists.filters import apply_filter, choice_parameter, choice_text
from opportune.admin.lists.row_conditions import row_conditions
from opportune.admin.options import filtered_name
from opportune.admin.overview import is_listed, listed_views
from opportune.admin.views import AdminView
from opportune.contrib.dashboard.latest import creation_time
from opportune.contrib.dashboard.list_links import date_filter, days_filter, list_url
from opportune.contrib.dashboard.newest_rows import MAX_CHART_ROWS, is_between, newest_rows
from opportune.contrib.dashboard.ranges import DAY, Range
from opportune.contrib.dashboard.shared_counts import SharedCounts, describe_conditions
from opportune.crud.columns import format_value
from opportune.db.models.columns import choices_of, is_indexed
from opportune.feature import Metric, Number, Table
from opportune.feature.admin import Widget
from opportune.i18n import current_language, gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_month_day, localize_number
from opportune.pagination import count_rows
from opportune.web.time_zone import current_zone, local, start_of_day

MINUTES_PER_DAY = 24 * 60
DEFAULT_COLUMNS = 3


async def read_chart(
    session: AsyncSession, metric: Metric, range_: Range, conditions: Sequence[Any], view: AdminView
) -> Chart:
    """Count the rows of each day, in this range and in the range before."""
    first_day, (since, end) = range_.first_day(), range_.with_the_one_before()
    rows = _rows_of_ranges(metric, range_, conditions)
    interval = _interval_column(rows.c.moment, session.get_bind().dialect.name, _interval_length(since, end))
    query = select(interval.label("interval_of_metric"), func.count()).where(*is_between(rows.c.moment, since, end))
    counts: Counter[date] = Counter()
    for text, number in await session.execute(query.group_by("interval_of_metric")):
        counts[_local_day(text)] += number
    points = [_day_point(view, metric, days, range_, sum(counts[day] for day in days)) for days in range_.steps()]
    previous = sum(number for day, number in counts.items() if day < first_day)
    is_partial = counts.total() > MAX_CHART_ROWS
    return Chart(metric.label, points, previous, range_.days, range_.step, metric.shape, is_partial)


async def read_choices(
    session: AsyncSession, metric: Metric, range_: Range, conditions: Sequence[Any], view: AdminView
) -> Chart:
    """Count the rows with each choice of the column `by`."""
    counts = {
        value: (now, before) for value, now, before in await session.execute(_by_choice(metric, range_, conditions))
    }
    name = metric.by.key
    is_partial = sum(map(sum, counts.values())) > MAX_CHART_ROWS
    choices = [*(choices_of(metric.model, name) or (True, False)), *([None] if None in counts else [])]
    since = date_filter(view, metric.at, range_)
    points = [
        Point(
            choice_text(value), counts.get(value, (0, 0))[0], list_url(view, {name: choice_parameter(value), **since})
        )
        for value in choices
    ]
    previous = sum(before for _, before in counts.values())
    return Chart(metric.label, points, previous, range_.days, range_.step, "choices", is_partial)


def _by_choice(metric: Metric, range_: Range, conditions: Sequence[Any]) -> Select[Any]:
    since, end = range_.with_the_one_before()
    rows = _rows_of_ranges(metric, range_, conditions, metric.by)
    first, choice = start_of_day(range_.first_day()), rows.c[metric.by.key]
    numbers = func.count().filter(rows.c.moment >= first), func.count().filter(rows.c.moment < first)
    return select(choice, *numbers).where(*is_between(rows.c.moment, since, end)).group_by(choice)


def _rows_of_ranges(metric: Metric, range_: Range, conditions: Sequence[Any], *columns: Any) -> Subquery:
    """Select the newest rows, at most a fixed number. Without an index, some may be older than both ranges."""
    rows = select(metric.model).where(*conditions)
    if is_indexed(inspect(metric.model).columns[metric.at.key]):
        rows = rows.where(*is_between(metric.at, *range_.with_the_one_before()))
    return newest_rows(rows, metric.at, MAX_CHART_ROWS, *columns)


def _day_point(view: AdminView, metric: Metric, days: Sequence[date], range_: Range, number: int) -> Point:
    """Return the point of a day or a week, with a link to its rows."""
    day = format_month_day(days[0])
    label = gettext("Week from %(day)s", day=day) if range_.step > 1 else day
    filters = days_filter(view, metric.at, days[0], days[-1])
    return Point(label, number, list_url(view, filters) if filters else "", day)


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


ORDER = (Number, Metric, Table)
"""Types in their default order, so that widgets of one height are side by side."""


@dataclass(frozen=True)
class DeclaredWidget:
    """A widget with the view of its model."""

    key: str
    """Name in stored arrangements: the feature and the label."""
    widget: Widget
    view: AdminView

    @property
    def label(self) -> str:
        return self.widget.label


@dataclass(frozen=True)
class RenderedWidget:
    """A widget with its data, for the template of its type."""

    declared: DeclaredWidget
    type: str
    """`number`, `chart` or `table`."""
    url: str
    """URL of the list."""
    data: Any


@dataclass(frozen=True)
class ListedRows:
    """The first rows of a list."""

    view: AdminView
    names: Sequence[str]
    rows: Sequence[Any]


class Widgets:
    """Widgets of the installed features. Counts are cached for a minute."""

    def __init__(self, app: FastAPI, site: BaseAdminSite) -> None:
        self._features = app.state.features
        self._site = site
        self._numbers: SharedCounts[str] = SharedCounts(app, str)
        self._charts: SharedCounts[Chart] = SharedCounts(app, Chart)

    def visible(self, request: Request) -> list[DeclaredWidget]:
        """Return the widgets of models that the user may list.

        Without a chart of the project, there is one of the first model with a creation time.
        """
        widgets = sorted(self._visible(request), key=lambda declared: ORDER.index(type(declared.widget)))
        if any(isinstance(declared.widget, Metric) and is_of_project(declared.view) for declared in widgets):
            return widgets
        views = (view for view in card_views(request, self._site) if is_of_project(view))
        times = ((view, creation_time(view)) for view in views)
        first = next(((view, time) for view, time in times if time is not None), None)
        if first is None:
            return widgets
        view, time = first
        return [*widgets, DeclaredWidget(f"new:{view.identity}", Metric(str(view.name_plural), time), view)]

    def _visible(self, request: Request) -> Iterator[DeclaredWidget]:
        for feature in self._features:
            for widget in feature.admin.metrics:
                view = self._site.view_for_model(widget.model)
                if not isinstance(view, AdminView) or not is_listed(view, request):
                    continue
                if not any(map(view.hides, _columns_of(widget, view))):
                    yield DeclaredWidget(f"{feature.name}:{widget.label}", widget, view)

    async def read(
        self, request: Request, widgets: Sequence[DeclaredWidget], range_: Range
    ) -> list[list[RenderedWidget]]:
        """Read the data of widgets, in groups. Adjacent numbers are a group, because their cards are lower."""
        async with self._site.database.reader(fresh=True) as session:
            counts = {
                declared.key: await self._read_count(session, request, declared, declared.widget, range_)
                for declared in widgets
                if not isinstance(declared.widget, Table)
            }
        # Views open a session for each query, so the session above is closed first.
        tables = {
            declared.key: await _read_table(request, declared, declared.widget)
            for declared in widgets
            if isinstance(declared.widget, Table)
        }
        rendered = [(counts | tables)[declared.key] for declared in widgets]
        return [[*run] for _, run in groupby(rendered, key=lambda widget: widget.type == "number")]

    async def _read_count(
        self, session: AsyncSession, request: Request, declared: DeclaredWidget, widget: Metric | Number, range_: Range
    ) -> RenderedWidget:
        view = declared.view
        conditions = row_conditions(view, request)
        # The rows of a view may depend on the user, their days on the time zone, and labels on the language.
        days = (range_.name, range_.first_day(), str(current_zone.get()), current_language.get())
        key = (declared.key, *days, describe_conditions(session, conditions))
        if isinstance(widget, Number):
            read_number = partial(_read_number, session, widget, conditions, view)
            number = await self._numbers.get(key, [view.identity], read_number)
            return RenderedWidget(declared, "number", list_url(view, widget.filters), number)
        read = partial(_read_metric, session, widget, range_, conditions, view)
        chart = await self._charts.get(key, [view.identity], read)
        return RenderedWidget(declared, "chart", list_url(view, date_filter(view, widget.at, range_)), chart)


def _columns_of(widget: Widget, view: AdminView) -> Iterator[str]:
    """Yield the columns that the widget reveals. A table leaves hidden columns out."""
    if isinstance(widget, Metric):
        yield from (column.key for column in (widget.at, widget.by) if column is not None)
        return
    yield from map(filtered_name, widget.filters)
    if isinstance(widget, Number) and not isinstance(widget.query, type):
        described = widget.query.column_descriptions[0]["expr"]
        elements = [widget.query.whereclause, described if described is not widget.model else None]
        parts = chain.from_iterable(visitors.iterate(element) for element in elements if element is not None)
        columns = (part for part in parts if isinstance(part, Column) and part in {*view.table.columns})
        yield from (view.mapper.get_property_by_column(column).key for column in columns)


async def _read_metric(
    session: AsyncSession, metric: Metric, range_: Range, conditions: Sequence[Any], view: AdminView
) -> Chart:
    if metric.by is None:
        return await read_chart(session, metric, range_, conditions, view)
    return await read_choices(session, metric, range_, conditions, view)


async def _read_number(session: AsyncSession, number: Number, conditions: Sequence[Any], view: AdminView) -> str:
    query: Select[Any] = select(number.query) if isinstance(number.query, type) else number.query
    query = await _narrow(query.where(*conditions), view, number.filters)
    counts_rows = query.column_descriptions[0]["expr"] is number.model
    value = await session.scalar(count_rows(query, view.pk_columns[0]) if counts_rows else query) or 0
    return (
        localize_number(f"{round(value, 2):,}")
        if isinstance(value, int | float | Decimal)
        else str(format_value(value))
    )


async def _read_table(request: Request, declared: DeclaredWidget, table: Table) -> RenderedWidget:
    view = declared.view
    names = [name for name in table.columns or _default_columns(view) if not view.hides(name)]
    query = view.sort_query(await _narrow(view.list_query(request), view, table.filters), request)
    rows = await view.fetch_rows(query.options(*view.loading(names)).limit(table.limit))
    for name in view.references.keys() & set(names):
        await view.name_references(request, name, rows)
    return RenderedWidget(declared, "table", list_url(view, table.filters), ListedRows(view, names, rows))


async def _narrow(query: Select[Any], view: AdminView, filters: Mapping[str, str]) -> Select[Any]:
    """Apply filters of the view's list."""
    for filter_ in view.get_filters() if filters else ():
        query = await apply_filter(query, filter_, QueryParams(dict(filters)), view.model)
    return query


def _default_columns(view: AdminView) -> Sequence[str]:
    keys = {key.key for key in view.pk_columns}
    return [name for name in view.list_names if name not in keys][:DEFAULT_COLUMNS]


@dataclass(frozen=True)
class Section:
    key: str
    """Begins with a slash, unlike keys of widgets."""
    label: str
    type: str
    """`latest`, `health` or `recent`."""
    view: AdminView | None = None
    """The model whose latest rows the section shows."""


def visible_sections(request: Request, site: BaseAdminSite) -> Iterator[Section]:
    for view in card_views(request, site):
        yield Section(f"/latest/{view.identity}", view.name_plural, "latest", view)
    if is_superuser(request):
        yield Section("/health", _l("Health"), "health")
    yield Section("/recent", _l("Recent actions"), "recent")


def card_views(request: Request, site: BaseAdminSite) -> Sequence[AdminView]:
    """Return the views of the project's models and of users; or all views, if the user may list no other."""
    views = [*chain.from_iterable(listed_views(request, site).values())]
    return [view for view in views if is_of_project(view) or view.model is User] or views


def is_of_project(view: AdminView) -> bool:
    """Return whether the project declares the model. It may also declare the model of users."""
    return view.model is not User and not view.model.__module__.startswith("opportune.")
