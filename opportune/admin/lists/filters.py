"""Filters of a list: their controls, query parameters and conditions, which use the operators of `crud`.

Views can also use filters of SQLAdmin. Invalid values in the address match no row, and the list says so.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sqladmin.filters import ForeignKeyFilter, OperationColumnFilter
from sqlalchemy import ColumnElement, Select, and_, false, true
from starlette.datastructures import QueryParams
from starlette.requests import Request

from opportune.admin.authorization import may_list
from opportune.admin.base import BaseAdminView
from opportune.admin.forms.foreign_keys import ForeignKeyLookup, ManyToManyLookup, parse_id
from opportune.admin.sqladmin_adapter import property_name
from opportune.crud.filters import (
    CONTAINS,
    EQUAL,
    FROM,
    GREATER,
    IN,
    IS_EMPTY,
    LESS,
    MAX_FILTER_VALUES,
    STARTS_WITH,
    TO,
    Operator,
)
from opportune.db.models.columns import (
    choice_label,
    choice_value,
    choices_of,
    foreign_keys_of,
    label_of,
    many_to_many_of,
    python_type_of,
)
from opportune.db.models.model import utc_now
from opportune.db.queries.paths import AttributePath, column_of_relation, is_linked, parse_path
from opportune.errors import OperatorError
from opportune.i18n import gettext_lazy
from opportune.i18n import gettext_lazy as _l
from opportune.i18n import pgettext_lazy as _p
from opportune.i18n.parsing import MACHINE_NUMBER
from opportune.schemas.annotations import options_of
from opportune.web.forms.controls import DATETIME_LOCAL, input_type, machine_format
from opportune.web.time_zone import in_utc, local, start_of_day, to_utc

RunQuery = Callable[[Select[Any]], Any]

NULL_CHOICE = "empty"
NULL_OPERATIONS = {"empty": _p("filter", "is empty"), "filled": _p("filter", "is not empty")}
NOT = "not"
VALUE_OPERATIONS = {"": _p("filter", "is"), NOT: _p("filter", "is not")}
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
YES_NO = {"true": (True, _l("Yes")), "false": (False, _l("No"))}
EMPTY = _l("Empty")


class ListFilter(ABC):
    """A filter by a column or relationship of the model or of related rows."""

    has_operator = False
    takes_many = False
    """Whether the parameter can have several values."""

    def __init__(self, path: AttributePath, parameter_name: str, title: str) -> None:
        self.path = path
        self.parameter_name = parameter_name
        self.operation_name = f"{parameter_name}_op"
        self.title = title
        column = path.end.columns.get(path.name)
        self.nullable = column is None or bool(column.nullable)

    @property
    def parameters(self) -> Sequence[str]:
        return (self.parameter_name, *((self.operation_name,) if self.operations() else ()))

    @abstractmethod
    def operations(self) -> list[tuple[str, str]]:
        """Return names and labels of the comparisons that `…_op` can select."""

    def form_operations(self, selected: str) -> list[tuple[str, str]]:
        """Return the comparisons that the form offers if one of them is selected."""
        return self.operations()

    def condition(self, query: QueryParams) -> ColumnElement[bool] | None:
        """Return the condition on the listed rows, or None if the query has no value. Invalid values match no row."""
        try:
            return self.parse_condition(query)
        except (ValueError, OverflowError, InvalidOperation):
            return false()

    def is_valid(self, query: QueryParams) -> bool:
        """Return whether the values of the query can be read."""
        try:
            self.parse_condition(query)
        except (ValueError, OverflowError, InvalidOperation):
            return False
        return True

    @abstractmethod
    def parse_condition(self, query: QueryParams) -> ColumnElement[bool] | None:
        """Return the condition like `condition`. Raises ValueError for invalid values."""

    def read_operation(self, query: QueryParams) -> str:
        """Return the selected comparison. Raises ValueError if the filter does not have it."""
        operation = query.get(self.operation_name, "").strip()
        if operation and operation not in dict(self.operations()):
            raise ValueError("unknown operation")
        return operation

    @abstractmethod
    def effective_parameters(self, query: QueryParams) -> Collection[str]:
        """Return the parameters of the query that change the condition."""


class ValuesFilter(ListFilter):
    """A filter by one or several values. The value None matches empty columns."""

    takes_many = True

    def operations(self) -> list[tuple[str, str]]:
        operations = {**(VALUE_OPERATIONS if self.takes_many else {}), **(NULL_OPERATIONS if self.nullable else {})}
        return [*({"": VALUE_OPERATIONS[""]} | operations).items()] if operations else []

    def parse_condition(self, query: QueryParams) -> ColumnElement[bool] | None:
        operation = self.read_operation(query)
        if operation in NULL_OPERATIONS:
            return self.path.exists_where(self._is_empty(operation == "empty"))
        values = self.parse([text for text in query.getlist(self.parameter_name)[:MAX_FILTER_VALUES] if text])
        if not values:
            return None
        matches = self.path.exists_where(self._is_one_of(values))
        return matches.is_not(true()) if operation == NOT else matches

    def effective_parameters(self, query: QueryParams) -> Collection[str]:
        if query.get(self.operation_name) in NULL_OPERATIONS:
            return (self.operation_name,)
        return self.parameters if any(query.getlist(self.parameter_name)) else ()

    def _is_one_of(self, values: Sequence[Any]) -> ColumnElement[bool]:
        present = [value for value in values if value is not None]
        if self.path.name in self.path.end.relationships:
            matches = is_linked(self.path.attribute.property, present)
        else:
            matches = IN.compare(self.path.attribute, present)
        return matches | self._is_empty(True) if None in values else matches

    def _is_empty(self, value: bool) -> ColumnElement[bool]:
        if self.path.name in self.path.end.relationships:
            is_linked_to_any: ColumnElement[bool] = self.path.attribute.any()
            return ~is_linked_to_any if value else is_linked_to_any
        return IS_EMPTY.compare(self.path.attribute, value)

    @abstractmethod
    def parse(self, texts: Sequence[str]) -> list[Any]:
        """Parse the texts in the address. Raises ValueError for a value that no row can have."""


class ChoiceFilter(ValuesFilter):
    """A filter by values of an Enum, a Literal or a boolean."""

    def __init__(self, *args: Any, choices: Mapping[str, tuple[Any, str]], takes_many: bool = True) -> None:
        super().__init__(*args)
        self.choices = choices
        self.takes_many = takes_many

    async def lookups(self, request: Request, model: Any, run_query: RunQuery) -> list[tuple[str, str]]:
        return [(text, label) for text, (_, label) in self.choices.items()]

    def parse(self, texts: Sequence[str]) -> list[Any]:
        if unknown := [text for text in texts if text not in self.choices]:
            raise ValueError(f"unknown choice: {unknown[0]}")
        return [self.choices[text][0] for text in texts]


class LookupFilter(ValuesFilter):
    """A filter by related rows, which the user searches by typing."""

    def __init__(self, *args: Any, lookup: ForeignKeyLookup) -> None:
        super().__init__(*args)
        self.lookup = lookup

    async def may_search(self, request: Request) -> bool:
        return await may_list(request, self.lookup.view)

    async def lookups(self, request: Request, model: Any, run_query: RunQuery) -> list[tuple[str, str]]:
        """Return ids and titles of the selected rows. Rows that the user may not see have their id as title."""
        texts = request.query_params.getlist(self.parameter_name)[:MAX_FILTER_VALUES]
        try:
            ids = [row_id for row_id in self.parse([text for text in texts if text]) if row_id is not None]
        except ValueError:
            return []
        names = {str(row_id): str(row_id) for row_id in ids}
        visible = [self.lookup.format(row) for row in await self.lookup.visible_rows(request, ids)]
        names |= {row["id"]: row["text"] for row in visible}
        return [*names.items(), *([(NULL_CHOICE, EMPTY)] if NULL_CHOICE in texts else [])]

    def parse(self, texts: Sequence[str]) -> list[Any]:
        return [None if text == NULL_CHOICE else parse_id(text) for text in texts]


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
        # Ranges replace the comparisons with one value, except those in existing addresses.
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
            condition: ColumnElement[bool] | None = and_(
                true(), *(self._end_condition(self.end_names[name], text) for name, text in ends.items())
            )
        else:
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
        return {"less_than": ~since, "greater_than": ~until}.get(operation, since & until)

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


def filter_for(view: BaseAdminView, option: Any) -> Any:
    """Return the filter for an option. Two filters of SQLAdmin are replaced, because they load all rows or fail."""
    if isinstance(option, OperationColumnFilter):
        option = option.column
    if isinstance(option, ForeignKeyFilter):
        option = option.foreign_key
    if hasattr(option, "lookups"):
        option.title = gettext_lazy(option.title)
        return option
    name = property_name(option)
    path = parse_path(view.mapper, name)
    column = column_of_relation(path.end, path.name)
    parameter = name if path.relations else column
    args = replace(path, name=column), parameter, view.labels.get(parameter, label_of(parameter))
    return _lookup_filter(view, *args) or _column_filter(view, *args)


def _lookup_filter(view: BaseAdminView, path: AttributePath, parameter: str, title: str) -> LookupFilter | None:
    lookups = (ManyToManyLookup, many_to_many_of(path.end)), (ForeignKeyLookup, foreign_keys_of(path.end))
    for lookup_class, models in lookups:
        if model := models.get(path.name):
            lookup = view.lookups.setdefault(parameter, lookup_class(path.name, model, view))
            return LookupFilter(path, parameter, title, lookup=lookup)
    return None


def _column_filter(view: BaseAdminView, path: AttributePath, parameter: str, title: str) -> ListFilter:
    column = path.end.columns.get(path.name)
    if column is None:
        raise OperatorError(f"{type(view).__name__}.column_filters: {parameter!r} cannot be filtered by.")
    if values := choices_of(path.end.class_, path.name):
        choices = {choice_value(value): (value, choice_label(value)) for value in values}
        empty = {NULL_CHOICE: (None, EMPTY)} if column.nullable else {}
        return ChoiceFilter(path, parameter, title, choices=choices | empty)
    type_ = python_type_of(column)
    if type_ is bool:
        return ChoiceFilter(path, parameter, title, choices=YES_NO, takes_many=False)
    return ComparisonFilter(path, parameter, title, type_=type_)


def choice_parameter(value: Any) -> str:
    """Return a value of a column as it is in addresses."""
    if value is None:
        return NULL_CHOICE
    return str(value).lower() if isinstance(value, bool) else choice_value(value)


def has_operator(filter_: Any) -> bool:
    """Return whether a filter, possibly one of SQLAdmin, also reads the parameter `…_op`."""
    return bool(getattr(filter_, "has_operator", False))


def parameters_of(filter_: Any) -> Sequence[str]:
    """Return the query parameters of a filter, possibly one of SQLAdmin."""
    if isinstance(filter_, ListFilter):
        return filter_.parameters
    name = filter_.parameter_name
    return (name, f"{name}_op") if has_operator(filter_) else (name,)


async def apply_filter(statement: Select[Any], filter_: Any, query: QueryParams, model: Any) -> Select[Any]:
    """Return the statement with the condition of a filter, possibly one of SQLAdmin."""
    if isinstance(filter_, ListFilter):
        condition = filter_.condition(query)
        return statement if condition is None else statement.where(condition)
    name, add_condition = filter_.parameter_name, filter_.get_filtered_query
    filtered: Select[Any] = statement
    if has_operator(filter_):
        filtered = await add_condition(statement, query.get(f"{name}_op", ""), query.get(name, ""), model)
    elif value := query.get(name):
        filtered = await add_condition(statement, value, model)
    return filtered
