"""Filters of a list. A view names columns; what can be asked of each follows from its type.

They have the shape that SQLAdmin asks of filters, and take any value that somebody may put into an address.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sqladmin.filters import BooleanFilter, ForeignKeyFilter, OperationColumnFilter
from sqladmin.helpers import get_column_python_type
from sqlalchemy import ColumnElement, Select, false, or_, select
from starlette.datastructures import QueryParams
from starlette.requests import Request

from opportune.admin.authorization import may_list
from opportune.admin.forms.foreign_keys import ForeignKeyLookup, parse_id
from opportune.admin.forms.many_to_many import ManyToManyLookup
from opportune.admin.protocols import View
from opportune.admin.sqladmin_adapter import property_name
from opportune.db.columns import (
    choice_label,
    choice_value,
    choices_of,
    foreign_keys_of,
    label_of,
    many_to_many_of,
)
from opportune.db.model import utc_now
from opportune.db.paths import Path, column_of_relation, is_linked, parse_path
from opportune.errors import OperatorError
from opportune.web.time_zone import local, start_of_day

RunQuery = Callable[[Select[Any]], Any]

NULL_CHOICE = "empty"
MAX_FILTER_VALUES = 100
DATE_RANGES = {
    "today": "today",
    "last_7_days": "in the last 7 days",
    "this_month": "this month",
    "this_year": "this year",
}
VALUELESS_OPERATIONS = {*DATE_RANGES, "empty", "filled"}


class Filter:
    has_operator = False
    takes_many = False
    """Whether it takes all values that an address has for it, and not the first alone."""

    def __init__(self, name: str, title: str) -> None:
        self.column = self.parameter_name = name
        self.title = title


class ChoiceFilter(Filter):
    takes_many = True

    def __init__(self, name: str, title: str, values: tuple[Any, ...], *, nullable: bool = False) -> None:
        super().__init__(name, title)
        self.values = {choice_value(value): value for value in values} | ({NULL_CHOICE: None} if nullable else {})

    async def lookups(self, request: Request, model: Any, run_query: RunQuery) -> list[tuple[str, str]]:
        return [(name, "Empty" if value is None else choice_label(value)) for name, value in self.values.items()]

    async def get_filtered_query(self, query: Select[Any], values: Sequence[str], model: Any) -> Select[Any]:
        chosen = [self.values[value] for value in values if value in self.values]
        return query.where(_is_one_of(getattr(model, self.column), chosen)) if chosen else query


class LookupFilter(Filter):
    """Rows that point at another row, or are linked with it, which is looked up by typing."""

    takes_many = True

    def __init__(self, name: str, title: str, lookup: ForeignKeyLookup, *, nullable: bool) -> None:
        super().__init__(name, title)
        self.lookup = lookup
        self.nullable = nullable

    async def may_search(self, request: Request) -> bool:
        return await may_list(request, self.lookup.view)

    async def lookups(self, request: Request, model: Any, run_query: RunQuery) -> list[tuple[str, str]]:
        """Those that are chosen: the others are not loaded. By number for whoever may not see them."""
        given = request.query_params.getlist(self.parameter_name)[:MAX_FILTER_VALUES]
        try:
            numbers = [parse_id(value) for value in given if value not in ("", NULL_CHOICE)]
        except ValueError:
            return []
        names = {str(number): str(number) for number in numbers}
        seen = [self.lookup.format(row) for row in await self.lookup.seen(request, numbers)]
        names |= {row["id"]: row["text"] for row in seen}
        return [*names.items(), *([(NULL_CHOICE, "Empty")] if NULL_CHOICE in given else [])]

    async def get_filtered_query(self, query: Select[Any], values: Sequence[str], model: Any) -> Select[Any]:
        try:
            chosen = [
                None if value == NULL_CHOICE else parse_id(value) for value in values[:MAX_FILTER_VALUES] if value
            ]
        except ValueError:
            return query.where(false())
        if not chosen:
            return query
        column, is_linked = getattr(model, self.column), isinstance(self.lookup, ManyToManyLookup)
        return query.where((_is_linked_with_one_of if is_linked else _is_one_of)(column, chosen))


def _is_one_of(column: Any, values: Sequence[Any]) -> ColumnElement[bool]:
    present = column.in_([value for value in values if value is not None])
    return or_(present, column.is_(None)) if None in values else present


def _is_linked_with_one_of(relation: Any, values: Sequence[Any]) -> ColumnElement[bool]:
    present = is_linked(relation.property, [value for value in values if value is not None])
    return or_(present, ~relation.any()) if None in values else present


class ComparisonFilter(Filter):
    """Compares a text, number or time with a typed value; `empty` and `filled` if a column may be null.

    Days begin at midnight in the visitor's time zone, like the times in the rows of the list.
    """

    has_operator = True

    def __init__(self, name: str, title: str, kind: type[Any], nullable: bool) -> None:
        super().__init__(name, title)
        self.kind = kind
        self.nullable = nullable

    @property
    def input_type(self) -> str:
        if issubclass(self.kind, date):
            return "date"
        return "number" if issubclass(self.kind, int | float | Decimal) else "text"

    def operations(self) -> list[tuple[str, str]]:
        offered = {
            "date": [("equals", "on"), ("less_than", "before"), ("greater_than", "after"), *DATE_RANGES.items()],
            "number": [("equals", "equals"), ("less_than", "less than"), ("greater_than", "more than")],
            "text": [("contains", "contains"), ("equals", "equals"), ("starts_with", "starts with")],
        }[self.input_type]
        return offered + ([("empty", "is empty"), ("filled", "is not empty")] if self.nullable else [])

    async def get_filtered_query(self, query: Select[Any], operation: str, value: str, model: Any) -> Select[Any]:
        column = getattr(model, self.column)
        if operation in ("empty", "filled"):
            return query.where(column.is_(None) if operation == "empty" else column.is_not(None))
        if self.input_type == "text":
            return _compare_text(query, column, operation, value.replace("\0", " ").strip())
        if self.input_type == "date" and operation in DATE_RANGES:
            today = local(utc_now()).date()
            first, after = (self._first_value(day) for day in _bucket(operation, today))
            return query.where(column >= first, column < after)
        bounds = self._bounds(value.strip())
        return query if bounds is None else _compare(query, column, operation, *bounds)

    def _bounds(self, value: str) -> tuple[Any, Any] | None:
        """Return the first value that `value` covers and the first one after it: a day has many moments."""
        try:
            if self.kind is datetime:
                day = date.fromisoformat(value)
                return self._first_value(day), self._first_value(day + timedelta(days=1))
            found = date.fromisoformat(value) if self.kind is date else _number(self.kind, value)
        except (ValueError, OverflowError, InvalidOperation):
            return None
        return found, found

    def _first_value(self, day: date) -> date:
        return start_of_day(day) if self.kind is datetime else day


def _bucket(name: str, today: date) -> tuple[date, date]:
    """Its first day and the first one after it."""
    if name == "this_month":
        first = today.replace(day=1)
        return first, (first + timedelta(days=31)).replace(day=1)
    if name == "this_year":
        return date(today.year, 1, 1), date(today.year + 1, 1, 1)
    return today - timedelta(days=6 if name == "last_7_days" else 0), today + timedelta(days=1)


def _number(kind: type[Any], value: str) -> Any:
    number = kind(value)
    if not abs(number) < 2**63:  # NaN compares with nothing
        raise ValueError
    return number


def _compare(query: Select[Any], column: Any, operation: str, first: Any, after: Any) -> Select[Any]:
    if operation == "less_than":
        return query.where(column < first)
    if operation == "greater_than":
        return query.where(column > first if first == after else column >= after)
    return query.where(column == first if first == after else (column >= first) & (column < after))


def _compare_text(query: Select[Any], column: Any, operation: str, value: str) -> Select[Any]:
    if not value:
        return query
    if operation == "starts_with":
        return query.where(column.istartswith(value, autoescape=True))
    return query.where(column == value if operation == "equals" else column.icontains(value, autoescape=True))


def filter_for(view: View, wish: Any) -> Any:
    """A filter for a column, or the one that was given, unless it would load all rows or crash."""
    if isinstance(wish, OperationColumnFilter):
        wish = wish.column
    if isinstance(wish, ForeignKeyFilter):
        wish = wish.foreign_key
    if hasattr(wish, "lookups"):
        return wish
    name = property_name(wish)
    path = parse_path(view.mapper, name)
    if path.end is view.mapper:
        name = column_of_relation(view.mapper, name)
        return _filter(view, path, name, view.labels.get(name, label_of(name)))
    chosen = _filter(view, path, column_of_relation(path.end, path.name), view.labels.get(name, label_of(name)))
    chosen.path, chosen.parameter_name = path, name
    if isinstance(chosen, LookupFilter):
        view.lookups[name] = chosen.lookup
    return chosen


def _filter(view: View, path: Path, name: str, title: str) -> Any:
    model, column = path.end.class_, path.end.columns.get(name)
    is_nullable = column is None or bool(column.nullable)
    if name in (linked := many_to_many_of(path.end)):
        return LookupFilter(name, title, ManyToManyLookup(name, linked[name], view), nullable=is_nullable)
    if name in (pointing := foreign_keys_of(path.end)):
        return LookupFilter(name, title, ForeignKeyLookup(name, pointing[name], view), nullable=is_nullable)
    if column is None:
        raise OperatorError(f'{type(view).__name__}: column_filters names "{name}", which nothing can filter by.')
    if values := choices_of(model, name):
        return ChoiceFilter(name, title, values, nullable=is_nullable)
    kind = get_column_python_type(column)
    if kind is bool:
        return BooleanFilter(name, title)
    return ComparisonFilter(name, title, kind, is_nullable)


async def apply_filter(statement: Select[Any], chosen: Any, asked: QueryParams, model: Any) -> Select[Any]:
    """The statement with what an address asks of one filter."""
    if (path := getattr(chosen, "path", None)) is None:
        return await _apply(statement, chosen, asked, model)
    condition = (await _apply(select(path.end.class_), chosen, asked, path.end.class_)).whereclause
    return statement if condition is None else statement.where(path.holds(condition))


async def _apply(statement: Select[Any], chosen: Any, asked: QueryParams, model: Any) -> Select[Any]:
    name, change = chosen.parameter_name, chosen.get_filtered_query
    changed: Select[Any] = statement
    if getattr(chosen, "has_operator", False):
        changed = await change(statement, asked.get(f"{name}_op", ""), asked.get(name, ""), model)
    elif getattr(chosen, "takes_many", False):
        changed = await change(statement, asked.getlist(name), model)
    elif value := asked.get(name):
        changed = await change(statement, value, model)
    return changed
