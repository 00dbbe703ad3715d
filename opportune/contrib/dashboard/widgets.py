"""Widgets of the dashboard: charts, numbers and tables, which features declare in `metrics`, and sections below them.

Each widget takes one query, which is cached if it counts.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import chain, groupby
from typing import Any, NamedTuple

from fastapi import FastAPI
from sqlalchemy import Column, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import visitors
from starlette.datastructures import QueryParams
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.admin.authorization import is_superuser
from opportune.admin.base import BaseAdminSite
from opportune.admin.forms.foreign_keys import load_references
from opportune.admin.lists.row_keys import row_conditions
from opportune.admin.lists.view_filters import apply_filter
from opportune.admin.options import filtered_name
from opportune.admin.overview import is_listed, listed_views
from opportune.admin.views import AdminView
from opportune.contrib.charts import Chart
from opportune.contrib.dashboard.latest import creation_time
from opportune.contrib.dashboard.metric_charts import days_filter, list_url, read_chart, read_choices
from opportune.contrib.dashboard.ranges import Range
from opportune.contrib.dashboard.shared_counts import SharedCounts, describe_conditions
from opportune.crud.formats import format_value
from opportune.db.models.columns import key_names_of
from opportune.feature import Metric, Number, Table
from opportune.feature.admin import Widget
from opportune.i18n import current_language
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import localize_number
from opportune.pagination import count_rows
from opportune.project.layout import is_framework_class
from opportune.web.time_zone import current_zone

DEFAULT_COLUMNS = 3
ORDER = (Number, Metric, Table)
"""Types in their default order, so that widgets of one height are side by side."""


class DeclaredWidget(NamedTuple):
    """A widget with the view of its model."""

    key: str
    """Name in stored arrangements: the feature and the label."""
    widget: Widget
    view: AdminView

    @property
    def label(self) -> str:
        return self.widget.label


class RenderedWidget(NamedTuple):
    """A widget with its data, for the template of its type."""

    declared: DeclaredWidget
    type: str
    """`number`, `chart` or `table`."""
    url: str
    """URL of the list."""
    data: Any


class ListedRows(NamedTuple):
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
        for view in card_views(request, self._site):
            time = creation_time(view) if is_of_project(view) else None
            if time is not None:
                return [*widgets, DeclaredWidget(f"new:{view.identity}", Metric(str(view.name_plural), time), view)]
        return widgets

    def _visible(self, request: Request) -> Iterator[DeclaredWidget]:
        for feature in self._features:
            for widget in feature.admin.metrics:
                view = self._site.view_for_model(widget.model)
                if not isinstance(view, AdminView) or not is_listed(view, request):
                    continue
                if not any(map(view.names.hides, _revealed_columns(widget, view))):
                    yield DeclaredWidget(f"{feature.name}:{widget.label}", widget, view)

    async def read(
        self, request: Request, widgets: Sequence[DeclaredWidget], range_: Range
    ) -> list[list[RenderedWidget]]:
        """Read the data of widgets, in groups. Adjacent numbers are a group, because their cards are lower."""
        rendered: dict[str, RenderedWidget] = {}
        async with self._site.database.reader(fresh=True) as session:
            for declared in widgets:
                if not isinstance(declared.widget, Table):
                    rendered[declared.key] = await self._read_count(session, request, declared, declared.widget, range_)
        # Views open a session for each query, so the session above is closed first.
        for declared in widgets:
            if isinstance(declared.widget, Table):
                rendered[declared.key] = await _read_table(request, declared, declared.widget)
        in_order = [rendered[declared.key] for declared in widgets]
        return [[*run] for _, run in groupby(in_order, key=lambda widget: widget.type == "number")]

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
        read = partial(read_chart if widget.by is None else read_choices, session, widget, range_, conditions, view)
        chart = await self._charts.get(key, [view.identity], read)
        dates = days_filter(view, widget.at, range_.first_day(), range_.last_day())
        return RenderedWidget(declared, "chart", list_url(view, dates), chart)


def _revealed_columns(widget: Widget, view: AdminView) -> Iterator[str]:
    """Yield the columns that the widget reveals. A table leaves hidden columns out."""
    if isinstance(widget, Metric):
        yield from (column.key for column in (widget.at, widget.by) if column is not None)
        return
    yield from map(filtered_name, widget.filters)
    if isinstance(widget, Number) and not isinstance(widget.query, type):
        yield from _columns_in_query(widget.query, view)


def _columns_in_query(query: Select[Any], view: AdminView) -> Iterator[str]:
    """Yield the columns of the view's table in the condition of a query, and in the expression that it selects."""
    elements = [query.whereclause] if query.whereclause is not None else []
    selected = query.column_descriptions[0]["expr"]
    if selected is not view.model:  # a query for the model counts its rows
        elements.append(selected)
    for part in chain.from_iterable(map(visitors.iterate, elements)):
        if isinstance(part, Column) and part in {*view.table.columns}:
            yield view.mapper.get_property_by_column(part).key


async def _read_number(session: AsyncSession, number: Number, conditions: Sequence[Any], view: AdminView) -> str:
    query: Select[Any] = select(number.query) if isinstance(number.query, type) else number.query
    query = await _narrow(query.where(*conditions), view, number.filters)
    if query.column_descriptions[0]["expr"] is number.model:
        query = count_rows(query, view.pk_columns[0])
    value = await session.scalar(query) or 0
    if isinstance(value, int | float | Decimal):
        return localize_number(f"{round(value, 2):,}")
    return str(format_value(value))


async def _read_table(request: Request, declared: DeclaredWidget, table: Table) -> RenderedWidget:
    view = declared.view
    defaults = [name for name in view.names.in_list if name not in key_names_of(view.mapper)][:DEFAULT_COLUMNS]
    names = [name for name in table.columns or defaults if not view.names.hides(name)]
    query = view.sort_query(await _narrow(view.list_query(request), view, table.filters), request)
    rows = await view.queries.objects(query.options(*view.queries.loading(names)).limit(table.limit))
    await load_references(request, view, names, rows)
    return RenderedWidget(declared, "table", list_url(view, table.filters), ListedRows(view, names, rows))


async def _narrow(query: Select[Any], view: AdminView, filters: Mapping[str, str]) -> Select[Any]:
    """Apply filters of the view's list."""
    if filters:
        for filter_ in view.get_filters():
            query = await apply_filter(query, filter_, QueryParams(dict(filters)), view.model)
    return query


class Section(NamedTuple):
    """One card below the widgets."""

    key: str
    """Name in stored arrangements. It begins with a slash, unlike keys of widgets."""
    label: str
    type: str
    """`latest`, `health` or `recent`."""
    view: AdminView | None = None
    """The model whose latest rows the section shows."""


def visible_sections(request: Request, site: BaseAdminSite) -> Iterator[Section]:
    """Yield the sections that the user may see, in their default order."""
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
    return view.model is not User and not is_framework_class(view.model)
