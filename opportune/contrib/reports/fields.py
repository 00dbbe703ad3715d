"""Fields by which a report can group rows, and numbers that it can show."""

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple, TypeVar

from starlette.datastructures import QueryParams

from opportune.admin.models import REPORT_PARAMETER
from opportune.admin.views import AdminView
from opportune.contrib.reports.periods import UNITS
from opportune.db.models.columns import is_json, python_type_of
from opportune.db.models.sensitive_names import is_secret
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l

T = TypeVar("T")

SPLIT_PARAMETER, MEASURE_PARAMETER = "_split", "_measure"
PARAMETERS = (REPORT_PARAMETER, SPLIT_PARAMETER, MEASURE_PARAMETER)
COUNT = "count"
UNKNOWN_FIELD = _l("This report uses the field “%(name)s”, which does not exist or which you may not see.")
FUNCTIONS = {"sum": _l("Sum"), "avg": _l("Average"), "min": _l("Minimum"), "max": _l("Maximum")}


class Grouping(NamedTuple):
    """A choice, a yes or no, a reference, or a date with a unit."""

    name: str
    label: str
    unit: str = ""
    is_reference: bool = False

    @property
    def key(self) -> str:
        return f"{self.name}:{self.unit}" if self.unit else self.name

    @property
    def full_label(self) -> str:
        return f"{gettext(self.label)} · {gettext(UNITS[self.unit])}" if self.unit else gettext(self.label)


class Measure(NamedTuple):
    """The number of rows, or a function of a number in them."""

    function: str = COUNT
    name: str = ""
    label: str = ""
    digits: int | None = None
    """Digits after the point; None for as many as necessary."""
    is_whole: bool = True

    @property
    def key(self) -> str:
        return f"{self.function}:{self.name}" if self.name else self.function

    @property
    def full_label(self) -> str:
        if not self.name:
            return gettext("Number of rows")
        return f"{gettext(FUNCTIONS[self.function])} · {gettext(self.label)}"


class Selection(NamedTuple):
    """The fields in a URL."""

    grouping: Grouping
    split: Grouping | None
    measure: Measure


def groupings_of(view: AdminView) -> Iterator[Grouping]:
    """Yield the fields by which the current user may group the rows."""
    for name in _visible_columns(view):
        column, label = view.mapper.columns[name], view.labels[name]
        if name in view.references:
            yield Grouping(name, label, is_reference=True)
        elif name in view.choice_names or python_type_of(column) is bool:
            yield Grouping(name, label)
        elif issubclass(python_type_of(column), date):
            yield from (Grouping(name, label, unit) for unit in UNITS)


def measures_of(view: AdminView) -> list[Measure]:
    measures = [Measure()]
    for name in _visible_columns(view):
        if name in view.numeric_columns:
            column, label = view.mapper.columns[name], view.labels[name]
            digits = getattr(column.type, "scale", None)
            is_whole = issubclass(python_type_of(column), int)
            measures += [Measure(function, name, label, digits, is_whole) for function in FUNCTIONS]
    return measures


def _visible_columns(view: AdminView) -> Iterator[str]:
    """Yield the columns of list and details that the current user sees."""
    columns = view.mapper.columns
    for name in dict.fromkeys((*view.names.in_list, *view.names.in_details)):
        if name in columns and not (is_secret(name) or is_json(columns[name]) or view.names.hides(name)):
            yield name


def default_grouping(view: AdminView) -> str:
    """Return the key of a choice, a month or a reference; empty if the list has no field to group by."""
    groupings = list(groupings_of(view))
    best_first = [
        *(grouping for grouping in groupings if not grouping.unit and not grouping.is_reference),
        *(grouping for grouping in groupings if grouping.unit == "month"),
        *(grouping for grouping in groupings if grouping.is_reference),
        *groupings,
    ]
    return best_first[0].key if best_first else ""


def read_selection(view: AdminView, query: QueryParams) -> Selection:
    """Return the fields in the URL.

    Raises:
        FieldErrors: The user sees no such field, or the URL names the same one twice.
    """
    groupings = {grouping.key: grouping for grouping in groupings_of(view)}
    measures = {measure.key: measure for measure in measures_of(view)}
    grouping = _find(groupings, query.get(REPORT_PARAMETER, ""))
    split_key = query.get(SPLIT_PARAMETER)
    split = _find(groupings, split_key) if split_key else None
    measure = _find(measures, query.get(MEASURE_PARAMETER) or COUNT)
    if split and split.name == grouping.name:
        raise FieldErrors({"": gettext("Group by two different fields.")})
    return Selection(grouping, split, measure)


def _find(options: dict[str, T], key: str) -> T:
    if key not in options:
        raise FieldErrors({"": gettext(UNKNOWN_FIELD, name=key)})
    return options[key]
