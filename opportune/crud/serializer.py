"""Serializes rows as JSON, all rows of a page in one call."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import to_json
from typing_extensions import TypedDict

from opportune.crud.declaration import Shape
from opportune.crud.schemas import annotate
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
    """Writes rows of one class as JSON, for users with the same hidden fields."""

    names: Sequence[str]
    """Names to read from each row."""
    needs_objects = False
    """Whether rows have to be loaded as objects."""
    write_row: WriteJson
    write_rows: WriteJson

    def stored_values(self, _row: Any) -> dict[str, Any] | None:
        """Return the values of a row that was just written, or None if they have to be read from the database."""
        return None

    def write_page(self, page: Page[Any], context: str | None = None) -> bytes:
        rows = self.write_rows(page.items, context=context)
        text = b'{"items":%b,"total":%d,"page":%d,"pages":%d' % (rows, page.total, page.page, page.pages)
        for name in LARGE_PAGE_FIELDS:
            if value := getattr(page, name):
                text += b',"%b":%b' % (name.encode(), to_json(value))
        return text + b"}"


class SchemaSerializer(Serializer):
    """Runs the validators of a schema that the project wrote.

    They need all fields of a row. The JSON omits the hidden ones.
    """

    def __init__(self, schema: Any, hidden: Collection[str], selectable: Collection[str]) -> None:
        self.names = list(schema.model_fields)
        self.needs_objects = not set(self.names).issubset(selectable)  # such as for properties
        row_adapter = TypeAdapter(schema)
        rows_adapter = TypeAdapter(list[schema])
        self.write_row = partial(_write_validated, row_adapter, {*hidden})
        self.write_rows = partial(_write_validated, rows_adapter, {"__all__": {*hidden}})


def _write_validated(adapter: TypeAdapter[Any], exclude: Any, values: Any, context: str | None = None) -> bytes:
    valid = adapter.validate_python(values, from_attributes=True)
    return adapter.dump_json(valid, exclude=exclude, context=context)


class ModelSerializer(Serializer):
    """Writes the fields that were derived from a model."""

    def __init__(self, fields: Mapping[str, FieldInfo], shape: Shape, nested: Collection[str]) -> None:
        self.names = list(fields)
        model_fields = [shape.model.model_fields.get(name) for name in fields]
        self._has_only_columns = fields.keys() <= shape.columns.keys()
        self._has_unchanged_types = all(info and _has_type(info, UNCHANGED_WHEN_STORED) for info in model_fields)
        if all(_has_type(info, PLAIN_JSON_TYPES) and not info.metadata for info in fields.values()):
            self.write_row = self.write_rows = partial(to_json, inf_nan_mode="null")
            return
        types = {
            name: Any if name in nested else annotate(info.annotation, info.metadata) for name, info in fields.items()
        }
        row_type: Any = TypedDict("row_type", types)  # type: ignore[misc]  # derived at run time
        self.write_row = TypeAdapter(row_type).dump_json
        self.write_rows = TypeAdapter(list[row_type]).dump_json

    def stored_values(self, row: Any) -> dict[str, Any] | None:
        values = vars(row)  # without attributes that are expired or were not loaded
        if not (self._has_only_columns and values.keys() >= {*self.names}):
            return None
        if not (self._has_unchanged_types or has_stored_values(row)):
            return None
        return {name: values[name] for name in self.names}


def _has_type(info: FieldInfo, types: tuple[type[Any], ...]) -> bool:
    type_ = plain_type(info.annotation)
    return isinstance(type_, type) and issubclass(type_, types)
