"""Filters of a list. A view names columns; what can be asked of each follows from its type.

They have the shape that SQLAdmin asks of filters, and take any value that somebody may put into an address.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from sqladmin.filters import BooleanFilter, ForeignKeyFilter, OperationColumnFilter
from sqladmin.helpers import get_column_python_type
from sqlalchemy import Select, false
from starlette.requests import Request

from app.admin.columns import choices_of, label_of, plain, spoken
from app.admin.references import Lookup, parse_id

if TYPE_CHECKING:
    from app.admin.views import AdminView

RunQuery = Callable[[Select[Any]], Any]


class ChoiceFilter:
    has_operator = False

    def __init__(self, name: str, title: str, values: tuple[Any, ...]) -> None:
        self.parameter_name = name
        self.title = title
        self.values = {plain(value): value for value in values}

    async def lookups(self, request: Request, model: Any, run_query: RunQuery) -> list[tuple[str, str]]:
        return [(name, spoken(value)) for name, value in self.values.items()]

    async def get_filtered_query(self, query: Select[Any], value: str, model: Any) -> Select[Any]:
        chosen = self.values.get(value)
        return query if chosen is None else query.where(getattr(model, self.parameter_name) == chosen)


class ReferenceFilter:
    """Rows that point at one other row, which is looked up by typing."""

    has_operator = False

    def __init__(self, name: str, title: str, lookup: Lookup) -> None:
        self.parameter_name = name
        self.title = title
        self.lookup = lookup

    async def lookups(self, request: Request, model: Any, run_query: RunQuery) -> list[tuple[str, str]]:
        """The one that is chosen: the others are not loaded."""
        try:
            chosen = await self.lookup.format_by_pk(request.query_params.get(self.parameter_name, ""))
        except ValueError:
            return []
        return [(chosen["id"], chosen["text"])] if chosen else []

    async def get_filtered_query(self, query: Select[Any], value: str, model: Any) -> Select[Any]:
        try:
            return query.where(getattr(model, self.parameter_name) == parse_id(value))
        except ValueError:
            return query.where(false())


class Comparison:
    """A text, number or time against what somebody types; `empty` and `filled` where a column may be null."""

    has_operator = True

    def __init__(self, name: str, title: str, kind: type[Any], nullable: bool) -> None:
        self.parameter_name = name
        self.title = title
        self.kind = kind
        self.nullable = nullable

    @property
    def input_type(self) -> str:
        if issubclass(self.kind, date):
            return "date"
        return "number" if issubclass(self.kind, int | float | Decimal) else "text"

    def operations(self) -> list[tuple[str, str]]:
        offered = {
            "date": [("equals", "on"), ("less_than", "before"), ("greater_than", "after")],
            "number": [("equals", "equals"), ("less_than", "less than"), ("greater_than", "more than")],
            "text": [("contains", "contains"), ("equals", "equals"), ("starts_with", "starts with")],
        }[self.input_type]
        return offered + ([("empty", "is empty"), ("filled", "is not empty")] if self.nullable else [])

    async def get_filtered_query(self, query: Select[Any], operation: str, value: str, model: Any) -> Select[Any]:
        column = getattr(model, self.parameter_name)
        if operation in ("empty", "filled"):
            return query.where(column.is_(None) if operation == "empty" else column.is_not(None))
        if self.input_type == "text":
            return _compare_text(query, column, operation, value.replace("\0", " ").strip())
        bounds = self._bounds(value.strip())
        return query if bounds is None else _compare(query, column, operation, *bounds)

    def _bounds(self, value: str) -> tuple[Any, Any] | None:
        """The first value that `value` means, and the first one after it: a day is many moments."""
        try:
            if self.kind is datetime:
                start = datetime.combine(date.fromisoformat(value), time(), UTC)
                return start, start + timedelta(days=1)
            found = date.fromisoformat(value) if self.kind is date else _number(self.kind, value)
        except (ValueError, OverflowError, InvalidOperation):
            return None
        return found, found


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


def filter_for(view: "AdminView", wish: Any) -> Any:
    """A filter for a column, or the one that was given, unless it would load all rows or crash."""
    if isinstance(wish, OperationColumnFilter):
        wish = wish.column
    if isinstance(wish, ForeignKeyFilter):
        wish = wish.foreign_key
    if hasattr(wish, "lookups"):
        return wish
    name = view._get_prop_name(wish)
    title, column = view._column_labels.get(name, label_of(name)), view._mapper.columns[name]
    if name in view.references:
        return ReferenceFilter(name, title, view.references[name])
    if values := choices_of(view.model, name):
        return ChoiceFilter(name, title, values)
    kind = get_column_python_type(column)
    if kind is bool:
        return BooleanFilter(name, title)
    return Comparison(name, title, kind, bool(column.nullable))
