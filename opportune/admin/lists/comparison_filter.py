"""Filter of a list that compares numbers, times and texts."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_
from starlette.datastructures import QueryParams

from opportune.admin.lists.filters import NULL_OPERATIONS, ListFilter
from opportune.crud.filters import CONTAINS, EQUAL, FROM, GREATER, IS_EMPTY, LESS, STARTS_WITH, TO, Operator
from opportune.db.models.model import utc_now
from opportune.i18n import pgettext_lazy as _p
from opportune.i18n.parsing import MACHINE_NUMBER
from opportune.schemas.annotations import options_of
from opportune.web.forms.input_texts import DATETIME_LOCAL, input_type, machine_format
from opportune.web.time_zone import in_utc, local, start_of_day, to_utc

DATE_RANGES = {
    "today": _p("filter", "today"),
    "last_7_days": _p("filter", "in the last 7 days"),
    "this_month": _p("filter", "this month"),
    "this_year": _p("filter", "this year"),
}
VALUELESS_OPERATIONS = {*DATE_RANGES, *NULL_OPERATIONS}
OPERATIONS: Mapping[str, Mapping[str, str]] = {
    "date": {
        "equals": _p("filter", "on"),
        "less_than": _p("filter", "before"),
        "greater_than": _p("filter", "after"),
        **DATE_RANGES,
    },
    "number": {
        "equals": _p("filter", "equals"),
        "less_than": _p("filter", "less than"),
        "greater_than": _p("filter", "more than"),
    },
    "time": {"equals": _p("filter", "at"), "less_than": _p("filter", "before"), "greater_than": _p("filter", "after")},
    "text": {
        "contains": _p("filter", "contains"),
        "equals": _p("filter", "equals"),
        "starts_with": _p("filter", "starts with"),
    },
}
OPERATORS = {
    "equals": EQUAL,
    "less_than": LESS,
    "greater_than": GREATER,
    "contains": CONTAINS,
    "starts_with": STARTS_WITH,
}
DAY = timedelta(days=1)


class ComparisonFilter(ListFilter):
    """A filter that compares a text, number or time with typed values.

    Days begin at midnight in the visitor's time zone, like the times in the rows of the list.
    """

    has_operator = True

    def __init__(self, *args: Any, type_: type[Any]) -> None:
        super().__init__(*args)
        self.type = type_
        types = {"date": date, "time": time, "number": int | float | Decimal}
        self.input_type = next((name for name, base in types.items() if issubclass(type_, base)), "text")
        info = getattr(self.path.end.class_, "model_fields", {}).get(self.path.name)
        self.unit = options_of(info).suffix if info else ""
        self.end_names: Mapping[str, Operator] = {}
        """Parameters for the two ends of a range. Texts have none."""
        if self.input_type != "text":
            self.end_names = {self.parameter_name + operator.suffix: operator for operator in (FROM, TO)}

    @property
    def parameters(self) -> Sequence[str]:
        return (self.parameter_name, self.operation_name, *self.end_names)

    def operations(self) -> list[tuple[str, str]]:
        return [*OPERATIONS[self.input_type].items(), *(NULL_OPERATIONS.items() if self.nullable else ())]

    @property
    def value_operations(self) -> Collection[str]:
        """Comparisons with one typed value."""
        return OPERATIONS[self.input_type].keys() - VALUELESS_OPERATIONS

    def form_operations(self, selected: str) -> list[tuple[str, str]]:
        if not self.end_names:
            return self.operations()
        # Ranges replace the comparisons with one value, except those in existing URLs.
        offered = [(name, label) for name, label in self.operations() if name in {*VALUELESS_OPERATIONS, selected}]
        return [("", _p("filter", "is between")), *offered] if offered else []

    def ends(self, query: QueryParams) -> dict[str, str]:
        """Return the non-empty ends of the range. Another comparison takes precedence over a range."""
        if query.get(self.operation_name):
            return {}
        return {name: text for name in self.end_names if (text := self.to_machine_format(query.get(name, "")))}

    def to_machine_format(self, text: str) -> str:
        """Convert a number or date from the visitor's format. Return other texts unchanged."""
        try:
            decimals = 0 if issubclass(self.type, int) else None
            return machine_format(self._type_for(text), text.strip(), self.unit, decimals=decimals)
        except ValueError:
            return text

    def input_type_for(self, text: str) -> str:
        """Return the type of an input that shows this text."""
        return input_type(self._type_for(text), text)

    def _type_for(self, text: str) -> str:
        return DATETIME_LOCAL if self.type is datetime and ":" in text else self.input_type

    def effective_parameters(self, query: QueryParams) -> Collection[str]:
        if query.get(self.operation_name) in VALUELESS_OPERATIONS:
            return (self.operation_name,)
        if ends := self.ends(query):
            return ends
        # In the form, an empty comparison means a range.
        is_empty_range = bool(self.end_names) and query.get(self.operation_name) == ""
        has_value = query.get(self.parameter_name, "").strip() and not is_empty_range
        return (self.parameter_name, self.operation_name) if has_value else ()

    def parse_condition(self, query: QueryParams) -> ColumnElement[bool] | None:
        operation = self.read_operation(query)
        if ends := self.ends(query):
            conditions = [self._end_condition(self.end_names[name], text) for name, text in ends.items()]
            return self.path.exists_where(and_(*conditions))
        condition = self._comparison(query, operation) if self.effective_parameters(query) else None
        return None if condition is None else self.path.exists_where(condition)

    def _comparison(self, query: QueryParams, operation: str) -> ColumnElement[bool] | None:
        text, column = self.to_machine_format(query.get(self.parameter_name, "")), self.path.attribute
        if operation in NULL_OPERATIONS:
            return IS_EMPTY.compare(column, operation == "empty")
        if self.input_type == "date":
            return self._day_condition(operation, *_parse_days(operation, text))
        value = self._parse(text)
        default = CONTAINS if self.input_type == "text" else EQUAL
        return None if value == "" else OPERATORS.get(operation, default).compare(column, value)

    def _end_condition(self, operator: Operator, text: str) -> ColumnElement[bool]:
        """Return the condition for one end of a range. Raises ValueError."""
        if self.input_type != "date":
            return operator.compare(self.path.attribute, self._parse(text))
        if self._type_for(text) == DATETIME_LOCAL:
            moment = datetime.fromisoformat(text)
            return operator.compare(self.path.attribute, in_utc(moment) if moment.tzinfo else to_utc(moment))
        day = date.fromisoformat(text)
        return self._since(day) if operator is FROM else self._until(day)

    def _parse(self, text: str) -> Any:
        if self.input_type == "text":
            return text.replace("\0", " ").strip()
        return time.fromisoformat(text) if self.input_type == "time" else _parse_number(self.type, text)

    def _day_condition(self, operation: str, first: date, last: date) -> ColumnElement[bool]:
        since, until = self._since(first), self._until(last)
        if operation == "less_than":
            return ~since
        return ~until if operation == "greater_than" else since & until

    def _since(self, day: date) -> ColumnElement[bool]:
        return FROM.compare(self.path.attribute, start_of_day(day) if self.type is datetime else day)

    def _until(self, day: date) -> ColumnElement[bool]:
        """Return the condition that the column is not after the day."""
        if self.type is datetime:
            return LESS.compare(self.path.attribute, start_of_day(day + DAY))
        return TO.compare(self.path.attribute, day)


def _parse_days(operation: str, text: str) -> tuple[date, date]:
    """Return the first and last day of a range. Both are the typed day for other operations. Raises ValueError."""
    today = local(utc_now()).date()
    if operation == "today":
        return today, today
    if operation == "last_7_days":
        return today - 6 * DAY, today
    if operation == "this_month":
        first = today.replace(day=1)
        return first, (first + 31 * DAY).replace(day=1) - DAY
    if operation == "this_year":
        return date(today.year, 1, 1), date(today.year, 12, 31)
    return (date.fromisoformat(text),) * 2


def _parse_number(type_: type[Any], text: str) -> Any:
    if not MACHINE_NUMBER.fullmatch(text):
        raise ValueError
    number = type_(text)
    if not abs(number) < 2**63:  # also rejects NaN, whose comparisons are always false
        raise ValueError
    return number
