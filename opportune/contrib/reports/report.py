"""A report: its groups as a table with totals, and as a chart."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from opportune.admin.charts import Chart, Point
from opportune.admin.lists.filters import choice_parameter, choice_text, parameters_of
from opportune.admin.views import AdminView
from opportune.contrib.reports.fields import PARAMETERS, Grouping, Measure, Selection
from opportune.contrib.reports.groups import MAX_LINES, Groups, Rest, Sums, read_groups
from opportune.contrib.reports.periods import axis_label, next_period, period_label
from opportune.i18n import gettext
from opportune.i18n.formats import format_number

NO_NUMBER = "\N{EN DASH}"


@dataclass(frozen=True)
class Line:
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
    lines: dict[Hashable, Sums] = defaultdict(Sums)
    columns: dict[Hashable, Sums] = defaultdict(Sums)
    for keys, sums in groups.items():
        lines[keys[0]] += sums
        columns[keys[-1]] += sums
    line_keys = _sort(lines, selection.grouping, selection.measure)
    column_keys = _sort(columns, selection.split, selection.measure) if selection.split else []
    labels = await _labels(request, view, selection.grouping, line_keys)
    function = selection.measure.function
    return Report(
        selection,
        await _labels(request, view, selection.split, column_keys) if selection.split else [],
        [
            Line(
                label,
                _list_url(request, view, selection.grouping, key),
                axis_label(key, selection.grouping.unit) if isinstance(key, date) else "",
                _cells(groups, key, column_keys, function),
                lines[key].value(function),
            )
            for key, label in zip(line_keys, labels, strict=True)
        ],
        Line(
            gettext("Total"),
            "",
            "",
            [columns[key].value(function) for key in column_keys],
            sum(lines.values(), Sums()).value(function),
        ),
    )


def _cells(groups: Groups, key: Hashable, column_keys: Sequence[Hashable], function: str) -> Sequence[Any]:
    return [groups[key, other].value(function) if (key, other) in groups else None for other in column_keys]


def _sort(sums: dict[Hashable, Sums], grouping: Grouping, measure: Measure) -> list[Hashable]:
    """Return the keys: periods in their order, others by size, and the rest and empty values last."""
    keys: list[Any] = [key for key in sums if key is not None and key is not Rest]
    if grouping.unit:
        keys = _without_gaps(sorted(keys), grouping.unit)
        return [*([Rest] if Rest in sums else []), *keys, *([None] if None in sums else [])]
    by_total = measure.function == "sum"
    keys.sort(key=lambda key: (-(sums[key].total if by_total else sums[key].count), choice_parameter(key)))
    return [*keys, *(key for key in (Rest, None) if key in sums)]


def _without_gaps(periods: list[date], unit: str) -> list[date]:
    """Add the periods without rows, unless there would be too many."""
    if not periods:
        return []
    filled = [periods[0]]
    while filled[-1] < periods[-1] and len(filled) <= MAX_LINES:
        filled.append(next_period(filled[-1], unit))
    return filled if filled[-1] == periods[-1] else periods


async def _labels(request: Request, view: AdminView, grouping: Grouping, keys: Sequence[Any]) -> list[str]:
    titles: dict[Any, str] = {}
    if grouping.is_reference:
        lookup = view.references[grouping.name]
        ids = [key for key in keys if key is not None and key is not Rest]
        rows = await lookup.visible_rows(request, ids) if ids else []
        titles = dict.fromkeys(ids) | {row.id: lookup.format(row)["text"] for row in rows}
        titles = {key: title or f"{lookup.model.__name__} {key}" for key, title in titles.items()}
    return [_label(grouping, key, titles) for key in keys]


def _label(grouping: Grouping, key: Any, titles: dict[Any, str]) -> str:
    if key is Rest:
        return gettext("Earlier") if grouping.unit else gettext("The rest")
    if key is None:
        return gettext("Empty")
    return period_label(key, grouping.unit) if grouping.unit else titles.get(key) or gettext(choice_text(key))


def _list_url(request: Request, view: AdminView, grouping: Grouping, key: Any) -> str:
    """Return the URL of the list with the rows of a group; empty if the list has no such filter."""
    filters = {getattr(filter_, "parameter_name", ""): filter_ for filter_ in view.get_filters()}
    if key is Rest or grouping.name not in filters or (grouping.unit and key is None):
        return ""
    replaced = {*parameters_of(filters[grouping.name]), *PARAMETERS, "view"}
    kept = [(name, text) for name, text in request.query_params.multi_items() if name not in replaced]
    values = {grouping.name: choice_parameter(key)}
    if grouping.unit:
        last = next_period(key, grouping.unit) - timedelta(days=1)
        values = {f"{grouping.name}__gte": key.isoformat(), f"{grouping.name}__lte": last.isoformat()}
    return f"{request.url_for('admin:list', identity=view.identity)}?{urlencode([*kept, *values.items()])}"
