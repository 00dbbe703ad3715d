"""Serializes rows as JSON, all rows of a page in one call."""

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any
from uuid import UUID

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import to_json
from typing_extensions import TypedDict

from opportune.crud.declaration import Shape
from opportune.crud.schemas import annotated
from opportune.db.sessions.insertion import has_stored_values
from opportune.pagination import Page
from opportune.schemas.annotations import plain_type

PLAIN_JSON_TYPES = (bool, int, str, float, Decimal, date, datetime, time, UUID, Enum)
"""Types that Pydantic serializes in the same way with and without a schema."""
UNCHANGED_WHEN_STORED = (bool, int, str, date, datetime, Enum)
"""Types whose values are equal before and after they are stored in a database."""

LARGE_PAGE_FIELDS = ("is_estimate", "next_cursor", "previous_cursor")
"""Fields that only pages of large lists have."""

WriteJson = Callable[..., bytes]
"""Writes values as JSON. The argument `context` can be `ALL_LANGUAGES`."""


class Serializer:
    """Writes rows of one class as JSON, for users with the same hidden fields.

    Args:
        schema: The schema of a row.
        shape: The model.
        annotations: Names of computed values.
        nested: Relationships whose values are objects.
        hidden: Fields to leave out.
        is_custom: Whether the project wrote the schema, so that its validators have to run.
    """

    def __init__(
        self,
        schema: type[BaseModel],
        shape: Shape,
        annotations: AbstractSet[str],
        nested: Sequence[str],
        hidden: Collection[str] = (),
        *,
        is_custom: bool = False,
    ) -> None:
        fields = {name: info for name, info in schema.model_fields.items() if is_custom or name not in hidden}
        self.names: Sequence[str] = list(fields)
        """Names to read from each row. A custom schema needs all of its fields; the JSON omits hidden ones."""
        objects = [name for name in nested if name in shape.to_one]
        selectable = {*shape.columns, *shape.links, *annotations, *objects}
        self.needs_objects = not selectable.issuperset(self.names)
        """Whether rows have to be loaded as objects, because a custom schema has fields such as properties."""
        model_fields = [shape.model.model_fields.get(name) for name in self.names]
        self._has_only_columns = not is_custom and all(name in shape.columns for name in self.names)
        self._has_unchanged_types = all(info and _has_type(info, UNCHANGED_WHEN_STORED) for info in model_fields)
        writers = _create_validating_writers(schema, {*hidden}) if is_custom else _create_writers(fields, nested)
        self.write_row, self.write_rows = writers

    def stored_values(self, row: Any) -> dict[str, Any] | None:
        """Return the values of a row that was just written, or None if they have to be read from the database."""
        values = vars(row)  # without attributes that are expired or were not loaded
        if not self._has_only_columns or any(name not in values for name in self.names):
            return None
        if not (self._has_unchanged_types or has_stored_values(row)):
            return None
        return {name: values[name] for name in self.names}

    def write_page(self, page: Page[Any], context: str | None = None) -> bytes:
        rows = self.write_rows(page.items, context=context)
        extra = b""
        if page.is_estimate or page.next_cursor or page.previous_cursor:
            fields = {name: value for name in LARGE_PAGE_FIELDS if (value := getattr(page, name))}
            extra = b"," + to_json(fields)[1:-1]
        return b'{"items":%b,"total":%d,"page":%d,"pages":%d%b}' % (rows, page.total, page.page, page.pages, extra)


def _create_validating_writers(schema: Any, hidden: set[str]) -> tuple[WriteJson, WriteJson]:
    """Return the functions that write one row and several rows for a custom schema, after its validators."""
    row_adapter = TypeAdapter(schema)
    rows_adapter = TypeAdapter(list[schema])

    def write(adapter: TypeAdapter[Any], exclude: Any, values: Any, context: str | None = None) -> bytes:
        valid = adapter.validate_python(values, from_attributes=True)
        return adapter.dump_json(valid, exclude=exclude, context=context)

    return partial(write, row_adapter, hidden), partial(write, rows_adapter, {"__all__": hidden})


def _create_writers(fields: Mapping[str, FieldInfo], nested: Collection[str]) -> tuple[WriteJson, WriteJson]:
    if all(_has_type(info, PLAIN_JSON_TYPES) and not info.metadata for info in fields.values()):
        plain = partial(to_json, inf_nan_mode="null")
        return plain, plain
    types = {
        name: Any if name in nested else annotated(info.annotation, info.metadata) for name, info in fields.items()
    }
    row_type: Any = TypedDict("row_type", types)  # type: ignore[misc]  # derived at run time
    return TypeAdapter(row_type).dump_json, TypeAdapter(list[row_type]).dump_json


def _has_type(info: FieldInfo, types: tuple[type[Any], ...]) -> bool:
    type_ = plain_type(info.annotation)
    return isinstance(type_, type) and issubclass(type_, types)
