"""A report: its groups as a table with totals, and as a chart."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request

from opportune.admin.lists.choice_filters import choice_parameter, choice_text
from opportune.admin.lists.view_filters import parameters_of
from opportune.admin.views import AdminView
from opportune.contrib.charts import Chart, Point
from opportune.contrib.reports.fields import PARAMETERS, Grouping, Selection
from opportune.contrib.reports.groups import MAX_LINES, Rest, Sums, read_groups
from opportune.contrib.reports.periods import axis_label, last_day, period_label
from opportune.i18n import gettext
from opportune.i18n.formats import format_number

NO_NUMBER = "\N{EN DASH}"


class Line(NamedTuple):
    label: str
    url: str
    """URL of the list of these rows; empty if it has no such filter."""
    date: str
    """Short label of a period."""
    cells: Sequence[Any]
    """Numbers of each column; empty for a report by one field."""
    total: Any
    """None if there is no number."""

    @property
    def numbers(self) -> Sequence[Any]:
        return [*self.cells, self.total]


@dataclass(frozen=True)
class Report:
    selection: Selection
    columns: Sequence[str]
    lines: Sequence[Line]
    totals: Line

    @property
    def header(self) -> Sequence[str]:
        measure = self.selection.measure.full_label
        return (self.selection.grouping.full_label, *self.columns, gettext("Total") if self.columns else measure)

    @property
    def table(self) -> Sequence[Sequence[Any]]:
        """Return the cells of all lines, the totals included."""
        return [(line.label, *line.numbers) for line in (*self.lines, self.totals)]

    def format(self, value: Any) -> str:
        return NO_NUMBER if value is None else format_number(value, self.selection.measure.digits)

    @property
    def chart(self) -> Chart:
        """Return bars of the lines: beside each other for periods, below each other for others."""
        points = [
            Point(line.label, float(line.total or 0), line.url, line.date, self.format(line.total))
            for line in self.lines
        ]
        shape = "bar" if self.selection.grouping.unit else "choices"
        return Chart(self.selection.measure.full_label, points, 0, 0, shape=shape)


async def read_report(request: Request, view: AdminView, selection: Selection, seconds: float) -> Report:
    """Read the report of the rows that match the URL and that the user may list.

    Raises:
        StatementTooLong: The database takes too long.
    """
    groups = await read_groups(request, view, selection, seconds)
    sums_of_lines: dict[Hashable, Sums] = defaultdict(Sums)
    sums_of_columns: dict[Hashable, Sums] = defaultdict(Sums)
    for keys, sums in groups.items():
        sums_of_lines[keys[0]] += sums
        sums_of_columns[keys[-1]] += sums
    grouping = selection.grouping
    split = selection.split
    function = selection.measure.function
    line_keys = _sort(sums_of_lines, grouping, function)
    column_keys = _sort(sums_of_columns, split, function) if split else []
    columns = await _labels(request, view, split, column_keys) if split else []
    lines: list[Line] = []
    for key, label in zip(line_keys, await _labels(request, view, grouping, line_keys), strict=True):
        sums_of_cells = [groups.get((key, column_key)) for column_key in column_keys]
        cells = [sums.value(function) if sums else None for sums in sums_of_cells]
        url = _list_url(request, view, grouping, key)
        day = axis_label(key, grouping.unit) if isinstance(key, date) else ""
        lines.append(Line(label, url=url, date=day, cells=cells, total=sums_of_lines[key].value(function)))
    totals = [sums_of_columns[key].value(function) for key in column_keys]
    total = sum(sums_of_lines.values(), Sums()).value(function)
    return Report(selection, columns, lines, Line(gettext("Total"), url="", date="", cells=totals, total=total))


def _sort(sums: dict[Hashable, Sums], grouping: Grouping, function: str) -> list[Hashable]:
    """Return the keys: periods in their order, with older ones first, or others by size. Empty values are last."""

    def size(key: Any) -> Any:
        return sums[key].total if function == "sum" else sums[key].count

    keys: list[Any] = [key for key in sums if key is not None and key is not Rest]
    if grouping.unit:
        ordered = [Rest, *_without_gaps(sorted(keys), grouping.unit), None]
    else:
        ordered = [*sorted(keys, key=lambda key: (-size(key), choice_parameter(key))), Rest, None]
    return [key for key in ordered if key in sums or isinstance(key, date)]


def _without_gaps(periods: list[date], unit: str) -> list[date]:
    """Add the periods without rows, unless there would be too many."""
    if not periods:
        return []
    filled = [periods[0]]
    while filled[-1] < periods[-1] and len(filled) <= MAX_LINES:
        filled.append(last_day(filled[-1], unit) + timedelta(1))
    return filled if filled[-1] == periods[-1] else periods


async def _labels(request: Request, view: AdminView, grouping: Grouping, keys: Sequence[Any]) -> list[str]:
    titles: dict[Any, str] = {}
    if grouping.is_reference:
        lookup = view.references[grouping.name]
        ids = [key for key in keys if key is not None and key is not Rest]
        rows = await lookup.visible_rows(request, ids) if ids else []
        titles = {id_: f"{lookup.model.__name__} {id_}" for id_ in ids}
        titles |= {lookup.key_of(row): text for row in rows if (text := lookup.format(row)["text"])}
    return [_label(grouping, key, titles) for key in keys]


def _label(grouping: Grouping, key: Any, titles: Mapping[Any, str]) -> str:
    if key is Rest:
        return gettext("Earlier") if grouping.unit else gettext("The rest")
    if key is None:
        return gettext("Empty")
    if grouping.unit:
        return period_label(key, grouping.unit)
    return titles[key] if grouping.is_reference else gettext(choice_text(key))


def _list_url(request: Request, view: AdminView, grouping: Grouping, key: Any) -> str:
    """Return the URL of the list with the rows of a group; empty if the list has no such filter."""
    filters = {getattr(filter_, "parameter_name", ""): filter_ for filter_ in view.get_filters()}
    if key is Rest or grouping.name not in filters or (grouping.unit and key is None):
        return ""
    replaced = {*parameters_of(filters[grouping.name]), *PARAMETERS, "view"}
    kept = [(name, text) for name, text in request.query_params.multi_items() if name not in replaced]
    values = {grouping.name: choice_parameter(key)}
    if grouping.unit:
        last = last_day(key, grouping.unit)
        values = {f"{grouping.name}__gte": key.isoformat(), f"{grouping.name}__lte": last.isoformat()}
    return f"{request.url_for('admin:list', identity=view.identity)}?{urlencode([*kept, *values.items()])}"
