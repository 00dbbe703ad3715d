"""Serializes rows as JSON, all rows of a page in one call."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import to_json
from sqlalchemy import inspect
from typing_extensions import TypedDict

from opportune.crud.types import plain_type
from opportune.pagination import Page

if TYPE_CHECKING:
    from opportune.crud.definition import Definition

PLAIN_JSON_TYPES = (bool, int, str, float, Decimal, date, datetime, time, UUID, Enum)
"""Types that Pydantic serializes in the same way with and without a schema."""
UNCHANGED_WHEN_STORED = (bool, int, str, date, datetime, Enum)
"""Types whose values are equal before and after they are stored in a database."""

LARGE_PAGE_FIELDS = ("is_estimate", "next_cursor", "previous_cursor")
"""Fields that only pages of large lists have."""

WriteJson = Callable[..., bytes]
"""Writes values as JSON. The argument `context` can be `ALL_LANGUAGES`."""


class Serializer:
    """Writes rows of one class as JSON, for users with the same hidden fields."""

    def __init__(self, definition: "Definition", hidden: Collection[str] = ()) -> None:
        schema, shape = definition.read_schema, definition.shape
        is_custom = definition.crud_class.read_schema is not None
        fields = {name: info for name, info in schema.model_fields.items() if is_custom or name not in hidden}
        self.names: Sequence[str] = list(fields)
        """Names to read from each row. A custom schema needs all of its fields; the JSON omits hidden ones."""
        nested = shape.to_one.keys() & {*definition.options.nested}
        self.needs_objects = not nested.union(shape.columns, shape.links, definition.annotations).issuperset(self.names)
        """Whether rows have to be loaded as objects, because a custom schema has fields such as properties."""
        model_fields = [shape.model.model_fields.get(name) for name in self.names]
        self.can_copy = not is_custom and all(info and _has_type(info, UNCHANGED_WHEN_STORED) for info in model_fields)
        """Whether a row that was just written holds all values as they are stored, so that it need not be read."""
        self.write_row, self.write_rows = (
            _create_validating_writers(schema, {*hidden})
            if is_custom
            else _create_writers(fields, definition.options.nested)
        )

    def stored_values(self, row: Any) -> dict[str, Any] | None:
        """Return the values of a row that was just written, or None if they have to be read from the database."""
        if not self.can_copy or inspect(row).expired_attributes:
            return None
        return {name: getattr(row, name) for name in self.names}

    def write_page(self, page: Page[Any], context: str | None = None) -> bytes:
        rows, extra = self.write_rows(page.items, context=context), b""
        if page.is_estimate or page.next_cursor or page.previous_cursor:
            fields = {name: value for name in LARGE_PAGE_FIELDS if (value := getattr(page, name))}
            extra = b"," + to_json(fields)[1:-1]
        return b'{"items":%b,"total":%d,"page":%d,"pages":%d%b}' % (rows, page.total, page.page, page.pages, extra)


def _create_validating_writers(schema: Any, hidden: set[str]) -> tuple[WriteJson, WriteJson]:
    """Return the functions that write one row and several rows for a custom schema, after its validators."""
    row_adapter, rows_adapter = TypeAdapter(schema), TypeAdapter(list[schema])

    def write(adapter: TypeAdapter[Any], exclude: Any, values: Any, context: str | None = None) -> bytes:
        valid = adapter.validate_python(values, from_attributes=True)
        return adapter.dump_json(valid, exclude=exclude, context=context)

    return partial(write, row_adapter, hidden), partial(write, rows_adapter, {"__all__": hidden})


def _create_writers(fields: Mapping[str, FieldInfo], nested: Collection[str]) -> tuple[WriteJson, WriteJson]:
    if all(_has_type(info, PLAIN_JSON_TYPES) and not info.metadata for info in fields.values()):
        plain = partial(to_json, inf_nan_mode="null")
        return plain, plain
    types = {name: Any if name in nested else _annotated(info) for name, info in fields.items()}
    row_type: Any = TypedDict("row_type", types)  # type: ignore[misc]  # derived at run time
    return TypeAdapter(row_type).dump_json, TypeAdapter(list[row_type]).dump_json


def _annotated(info: FieldInfo) -> Any:
    return Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation


def _has_type(info: FieldInfo, types: tuple[type[Any], ...]) -> bool:
    type_ = plain_type(info.annotation)
    return isinstance(type_, type) and issubclass(type_, types)
