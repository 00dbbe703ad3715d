"""Filters of a list by values or a text: their query parameters and conditions.

Invalid values in the URL match no row, and the list says so.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from decimal import InvalidOperation
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, String, cast, false, func, true
from starlette.datastructures import QueryParams
from starlette.requests import Request

from opportune.admin.authorization import may_list
from opportune.admin.forms.foreign_keys import ForeignKeyLookup
from opportune.admin.lists.row_keys import quote_key
from opportune.crud.operators import CONTAINS, EQUAL, IN, IS_EMPTY, STARTS_WITH
from opportune.crud.query_schema import MAX_FILTER_VALUES
from opportune.db.models.columns import is_text, python_type_of
from opportune.db.queries.paths import AttributePath, is_linked
from opportune.i18n import gettext_lazy as _l
from opportune.i18n import pgettext_lazy as _p

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
INVALID_VALUE = (ValueError, OverflowError, InvalidOperation)
"""Errors of `parse_condition` and `value_condition` for a value in the URL."""


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
        return (self.parameter_name, self.operation_name) if self.operations() else (self.parameter_name,)

    def null_operations(self) -> list[tuple[str, str]]:
        return [*NULL_OPERATIONS.items()] if self.nullable else []

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
        except INVALID_VALUE:
            return false()

    def is_valid(self, query: QueryParams) -> bool:
        """Return whether the filter accepts the values of the query."""
        try:
            self.parse_condition(query)
        except INVALID_VALUE:
            return False
        return True

    def parse_condition(self, query: QueryParams) -> ColumnElement[bool] | None:
        """Return the condition on the listed rows, or None if the query has no value.

        Raises:
            INVALID_VALUE: A value is invalid.
        """
        operation = self.read_operation(query)
        if operation in NULL_OPERATIONS:
            return self.path.exists_where(self.is_empty(operation == "empty"))
        return self.value_condition(query, operation)

    @abstractmethod
    def value_condition(self, query: QueryParams, operation: str) -> ColumnElement[bool] | None:
        """Return the condition for the values of the query, or None if it has no value. Errors: `parse_condition`."""

    def is_empty(self, value: bool) -> ColumnElement[bool]:
        """Return the condition that the column is empty, or with False that it is not."""
        return IS_EMPTY.compare(self.path.attribute, value)

    def read_operation(self, query: QueryParams) -> str:
        """Return the selected comparison.

        Raises:
            ValueError: The filter does not have it.
        """
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
        operations = (VALUE_OPERATIONS if self.can_exclude else {}) | dict(self.null_operations())
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
        """Parse the texts in the URL.

        Raises:
            ValueError: No row can have one of the values.
        """


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
            values = self.parse([text for text in texts if text])
        except ValueError:
            return []
        ids = [row_id for row_id in values if row_id is not None]
        names = {quote_key(row_id): str(row_id) for row_id in ids}
        visible = [self.lookup.format(row) for row in await self.lookup.visible_rows(request, ids)]
        names |= {row["id"]: row["text"] for row in visible}
        if NULL_CHOICE in texts:
            names[NULL_CHOICE] = EMPTY
        return [*names.items()]

    def parse(self, texts: Sequence[str]) -> list[Any]:
        return [None if text == NULL_CHOICE else self.lookup.parse(text) for text in texts]


class TextFilter(ListFilter):
    """A filter that compares a text with a typed one. Without a comparison, it contains that text."""

    has_operator = True

    def operations(self) -> list[tuple[str, str]]:
        return [*TEXT_OPERATIONS.items(), *self.null_operations()]

    def value_condition(self, query: QueryParams, operation: str) -> ColumnElement[bool] | None:
        text = query.get(self.parameter_name, "").replace("\0", " ").strip()
        operator = TEXT_OPERATORS.get(operation, CONTAINS)
        return self.path.exists_where(operator.compare(*self._as_texts(text))) if text else None

    def _as_texts(self, text: str) -> tuple[ColumnElement[Any], str]:
        """Return the column and the typed text to compare. Numbers and other values are compared as text."""
        column = self.path.end.columns[self.path.name]
        attribute = self.path.attribute
        if is_text(column):
            return attribute, text
        value: ColumnElement[Any] = cast(attribute, String)
        if issubclass(python_type_of(column), UUID):  # SQLite stores it without hyphens
            return func.replace(value, "-", ""), text.replace("-", "").lower()
        return value, text
