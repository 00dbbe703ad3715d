"""Filters of a list: their controls, query parameters and conditions, which use the operators of `crud`.

Views can also use filters of SQLAdmin. Invalid values in the URL match no row, and the list says so.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import InvalidOperation
from typing import Any
from uuid import UUID

from sqladmin.filters import ForeignKeyFilter, OperationColumnFilter
from sqlalchemy import ColumnElement, Select, String, and_, cast, false, func, true
from starlette.datastructures import QueryParams
from starlette.requests import Request

from opportune.admin.authorization import may_list
from opportune.admin.base import BaseAdminView
from opportune.admin.forms.foreign_keys import ForeignKeyLookup, ManyToManyLookup
from opportune.admin.lists.row_keys import quote_key
from opportune.admin.sqladmin_adapter import property_name
from opportune.crud.filters import (
    CONTAINS,
    EQUAL,
    FROM,
    IN,
    IS_EMPTY,
    LESS,
    MAX_FILTER_VALUES,
    STARTS_WITH,
    TO,
    Operator,
)
from opportune.crud.formats import format_value
from opportune.crud.types import ORDERED_TYPES
from opportune.db.models.columns import (
    choice_label,
    choice_value,
    choices_of,
    is_text,
    label_of,
    many_to_many_of,
    python_type_of,
    references_of,
)
from opportune.db.models.model import utc_now
from opportune.db.queries.paths import AttributePath, column_of_relation, is_linked, parse_path
from opportune.errors import OperatorError
from opportune.i18n import gettext_lazy
from opportune.i18n import gettext_lazy as _l
from opportune.i18n import pgettext_lazy as _p
from opportune.i18n.parsing import MACHINE_NUMBER
from opportune.schemas.annotations import options_of
from opportune.web.forms.input_texts import DATETIME_LOCAL, input_type, machine_format
from opportune.web.time_zone import in_utc, local, start_of_day, to_utc

RunQuery = Callable[[Select[Any]], Any]

NULL_CHOICE = "empty"
NULL_OPERATIONS = {"empty": _p("filter", "is empty"), "filled": _p("filter", "is not empty")}
NOT = "not"
VALUE_OPERATIONS = {"": _p("filter", "is"), NOT: _p("filter", "is not")}
EMPTY = _l("Empty")
TEXT_OPERATIONS = {
    "contains": _p("filter", "contains"),
    "equals": _p("filter", "equals"),
    "starts_with": _p("filter", "starts with"),
}
TEXT_OPERATORS = {"equals": EQUAL, "starts_with": STARTS_WITH}
DATE_RANGES = {
    "today": _p("filter", "today"),
    "last_7_days": _p("filter", "in the last 7 days"),
    "this_month": _p("filter", "this month"),
    "this_year": _p("filter", "this year"),
}
BETWEEN = ("", _p("filter", "is between"))
OLD_COMPARISONS: Mapping[str, Sequence[Operator]] = {"equals": (FROM, TO), "greater_than": (FROM,), "less_than": (TO,)}
"""Comparisons in links and saved views of 0.2, with the ends of the range to which their value belongs."""
DAY = timedelta(days=1)
YES_NO = {"true": (True, _l("Yes")), "false": (False, _l("No"))}


class ListFilter(ABC):
    """A filter by a column or relationship of the model or of related rows."""

    has_operator = False

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

    def form_operations(self) -> list[tuple[str, str]]:
        """Return the comparisons that the form offers."""
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

    def parse_condition(self, query: QueryParams) -> ColumnElement[bool] | None:
        """Return the condition like `condition`. Raises ValueError for invalid values."""
        operation = self.read_operation(query)
        if operation in NULL_OPERATIONS:
            return self.path.exists_where(self.is_empty(operation == "empty"))
        return self.value_condition(query, operation)

    @abstractmethod
    def value_condition(self, query: QueryParams, operation: str) -> ColumnElement[bool] | None:
        """Return the condition for the values of the query, or None without any. Raises ValueError."""

    def is_empty(self, value: bool) -> ColumnElement[bool]:
        """Return the condition that the column is empty, or with False that it is not."""
        return IS_EMPTY.compare(self.path.attribute, value)

    def read_operation(self, query: QueryParams) -> str:
        """Return the selected comparison. Raises ValueError if the filter does not have it."""
        operation = query.get(self.operation_name, "").strip()
        if operation and operation not in dict(self.operations()):
            raise ValueError("unknown operation")
        return operation

    def effective_parameters(self, query: QueryParams) -> Collection[str]:
        """Return the parameters of the query that change the condition."""
        if query.get(self.operation_name) in NULL_OPERATIONS:
            return (self.operation_name,)
        return self.parameters if any(text.strip() for text in query.getlist(self.parameter_name)) else ()


class ValuesFilter(ListFilter):
    """A filter by one or several values. The value None matches empty columns."""

    takes_many = True
    can_exclude = True

    def operations(self) -> list[tuple[str, str]]:
        operations = {**(VALUE_OPERATIONS if self.can_exclude else {}), **(NULL_OPERATIONS if self.nullable else {})}
        return [*({"": VALUE_OPERATIONS[""]} | operations).items()] if operations else []

    def value_condition(self, query: QueryParams, operation: str) -> ColumnElement[bool] | None:
        values = self.parse([text for text in query.getlist(self.parameter_name)[:MAX_FILTER_VALUES] if text])
        if not values:
            return None
        matches = self.path.exists_where(self._is_one_of(values))
        return matches.is_not(true()) if operation == NOT else matches

    def _is_one_of(self, values: Sequence[Any]) -> ColumnElement[bool]:
        present = [value for value in values if value is not None]
        if self.path.name in self.path.end.relationships:
            matches = is_linked(self.path.attribute.property, present)
        else:
            matches = IN.compare(self.path.attribute, present)
        return matches | self.is_empty(True) if None in values else matches

    def is_empty(self, value: bool) -> ColumnElement[bool]:
        if self.path.name in self.path.end.relationships:
            is_linked_to_any: ColumnElement[bool] = self.path.attribute.any()
            return ~is_linked_to_any if value else is_linked_to_any
        return super().is_empty(value)

    @abstractmethod
    def parse(self, texts: Sequence[str]) -> list[Any]:
        """Parse the texts in the URL. Raises ValueError for a value that no row can have."""


class ChoiceFilter(ValuesFilter):
    """A filter by values of an Enum, a Literal or a boolean."""

    def __init__(self, *args: Any, choices: Mapping[str, tuple[Any, str]], can_exclude: bool = True) -> None:
        super().__init__(*args)
        self.choices = choices
        self.can_exclude = can_exclude

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
        names = {quote_key(row_id): str(row_id) for row_id in ids}
        visible = [self.lookup.format(row) for row in await self.lookup.visible_rows(request, ids)]
        names |= {row["id"]: row["text"] for row in visible}
        return [*names.items(), *([(NULL_CHOICE, EMPTY)] if NULL_CHOICE in texts else [])]

    def parse(self, texts: Sequence[str]) -> list[Any]:
        return [None if text == NULL_CHOICE else self.lookup.parse(text) for text in texts]


class TextFilter(ListFilter):
    """A filter that compares a text with a typed one. Without a comparison, it contains that text."""

    has_operator = True

    def operations(self) -> list[tuple[str, str]]:
        return [*TEXT_OPERATIONS.items(), *(NULL_OPERATIONS.items() if self.nullable else ())]

    def value_condition(self, query: QueryParams, operation: str) -> ColumnElement[bool] | None:
        text = query.get(self.parameter_name, "").replace("\0", " ").strip()
        operator = TEXT_OPERATORS.get(operation, CONTAINS)
        return self.path.exists_where(operator.compare(*self._as_texts(text))) if text else None

    def _as_texts(self, text: str) -> tuple[ColumnElement[Any], str]:
        """Return the column and the typed text. Other values than texts are compared with the text of the database."""
        column, attribute = self.path.end.columns[self.path.name], self.path.attribute
        if is_text(column):
            return attribute, text
        value: ColumnElement[Any] = cast(attribute, String)
        if issubclass(python_type_of(column), UUID):  # SQLite stores it without hyphens
            return func.replace(value, "-", ""), text.replace("-", "").lower()
        return value, text


class RangeFilter(ListFilter):
    """A filter by one or both ends of a range. The plain parameter is a range of one value, as in `?price=5`.

    Days begin at midnight in the visitor's time zone, like the times in the rows of the list.
    """

    def __init__(self, *args: Any, type_: type[Any]) -> None:
        super().__init__(*args)
        self.type = type_
        types = {"date": date, "time": time}
        self.input_type = next((name for name, base in types.items() if issubclass(type_, base)), "number")
        info = getattr(self.path.end.class_, "model_fields", {}).get(self.path.name)
        self.unit = options_of(info).suffix if info else ""
        self.end_names: Mapping[str, Operator] = {
            self.parameter_name + operator.suffix: operator for operator in (FROM, TO)
        }

    @property
    def parameters(self) -> Sequence[str]:
        return (self.parameter_name, self.operation_name, *self.end_names)

    def operations(self) -> list[tuple[str, str]]:
        ranges = DATE_RANGES if self.input_type == "date" else {}
        return [*ranges.items(), *(NULL_OPERATIONS.items() if self.nullable else ())]

    def form_operations(self) -> list[tuple[str, str]]:
        operations = self.operations()
        return [BETWEEN, *operations] if operations else []

    def read_operation(self, query: QueryParams) -> str:
        return "" if query.get(self.operation_name) in OLD_COMPARISONS else super().read_operation(query)

    def ends(self, query: QueryParams) -> dict[str, str]:
        """Return the non-empty ends of the range. A comparison such as "today" takes precedence over a range."""
        operation = query.get(self.operation_name) or "equals"  # a value without a comparison
        if operation not in OLD_COMPARISONS:
            return {}
        ends = {}
        for name, operator in self.end_names.items():
            value = query.get(self.parameter_name, "") if operator in OLD_COMPARISONS[operation] else ""
            if text := self.to_machine_format(query.get(name) or value):
                ends[name] = text
        return ends

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
        operation = query.get(self.operation_name)
        return self.parameters if not operation or operation in OLD_COMPARISONS else (self.operation_name,)

    def value_condition(self, query: QueryParams, operation: str) -> ColumnElement[bool] | None:
        if operation:
            first, last = _days_of(operation)
            return self.path.exists_where(self._since(first) & self._until(last))
        ends = [self._end_condition(self.end_names[name], text) for name, text in self.ends(query).items()]
        return self.path.exists_where(and_(*ends)) if ends else None

    def _end_condition(self, operator: Operator, text: str) -> ColumnElement[bool]:
        """Return the condition for one end of a range. Raises ValueError."""
        if self.input_type != "date":
            value = time.fromisoformat(text) if self.input_type == "time" else _parse_number(self.type, text)
            return operator.compare(self.path.attribute, value)
        if self._type_for(text) == DATETIME_LOCAL:
            moment = datetime.fromisoformat(text)
            return operator.compare(self.path.attribute, in_utc(moment) if moment.tzinfo else to_utc(moment))
        day = date.fromisoformat(text)
        return self._since(day) if operator is FROM else self._until(day)

    def _since(self, day: date) -> ColumnElement[bool]:
        return FROM.compare(self.path.attribute, start_of_day(day) if self.type is datetime else day)

    def _until(self, day: date) -> ColumnElement[bool]:
        """Return the condition that the column is not after the day."""
        if self.type is datetime:
            return LESS.compare(self.path.attribute, start_of_day(day + DAY))
        return TO.compare(self.path.attribute, day)


def _days_of(operation: str) -> tuple[date, date]:
    """Return the first and the last day of a range such as `this_month`."""
    today = local(utc_now()).date()
    match operation:
        case "today":
            return today, today
        case "last_7_days":
            return today - 6 * DAY, today
        case "this_month":
            first = today.replace(day=1)
            return first, (first + 31 * DAY).replace(day=1) - DAY
    return date(today.year, 1, 1), date(today.year, 12, 31)


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
    title = view.labels.get(parameter, label_of(parameter))
    path_to_column = replace(path, name=column)
    lookup_filter = _lookup_filter(view, path_to_column, parameter, title)
    return lookup_filter or _column_filter(view, path_to_column, parameter, title)


def _lookup_filter(view: BaseAdminView, path: AttributePath, parameter: str, title: str) -> LookupFilter | None:
    lookups = (ManyToManyLookup, many_to_many_of(path.end)), (ForeignKeyLookup, references_of(path.end))
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
        return ChoiceFilter(path, parameter, title, choices=YES_NO, can_exclude=False)
    if issubclass(type_, ORDERED_TYPES):
        return RangeFilter(path, parameter, title, type_=type_)
    return TextFilter(path, parameter, title)


def choice_parameter(value: Any) -> str:
    """Return a value of a column as it is in addresses."""
    if value is None:
        return NULL_CHOICE
    return str(value).lower() if isinstance(value, bool) else choice_value(value)


def choice_text(value: Any) -> str:
    """Return the label of a value of a column with choices, or with yes and no."""
    if value is None:
        return EMPTY
    if isinstance(value, bool):
        return format_value(value)
    return choice_label(value)


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
