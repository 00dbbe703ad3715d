"""Rows as JSON, written in one go."""

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

from opportune.crud.types import kind_of

if TYPE_CHECKING:
    from opportune.crud.definition import Definition

# Pydantic writes these alike, whatever a schema says of them.
PLAIN = (bool, int, str, float, Decimal, date, datetime, time, UUID, Enum)
# A database gives back of these what it was given: no digits more or less.
UNCHANGED = (bool, int, str, date, datetime, Enum)

Write = Callable[[Any], bytes]


class Answers:
    """How the rows of one class are written as JSON for users from whom the same fields are hidden."""

    def __init__(self, definition: "Definition", hidden: Collection[str] = ()) -> None:
        schema, shape = definition.read_schema, definition.shape
        self.is_own = definition.kind.read_schema is not None
        fields = {name: info for name, info in schema.model_fields.items() if self.is_own or name not in hidden}
        self.names: Sequence[str] = list(fields)
        """What is read of each row. A schema of their own is given all its fields, and the hidden ones are not sent."""
        nested = shape.to_one.keys() & {*definition.options.nested}
        self.needs_objects = not nested.union(shape.columns, shape.links, definition.annotations).issuperset(self.names)
        """Whether a schema of their own names what is no column, such as a property."""
        own = {name: shape.model.model_fields.get(name) for name in self.names}
        self.copies = not self.is_own and all(info and _is_kind(info, UNCHANGED) for info in own.values())
        """Whether an object that was just written holds all that is answered, as it is stored."""
        self.write_row, self.write_rows = (
            _validating(schema, {*hidden}) if self.is_own else _writing(fields, definition.options.nested)
        )

    def copy_of(self, row: Any) -> dict[str, Any] | None:
        """What is answered of a row that was just written; None where only the database knows it."""
        if not self.copies or inspect(row).expired_attributes:
            return None
        return {name: getattr(row, name) for name in self.names}

    def write_page(self, rows: Any, total: int, page: int, pages: int) -> bytes:
        return b'{"items":%b,"total":%d,"page":%d,"pages":%d}' % (self.write_rows(rows), total, page, pages)


def _validating(schema: Any, hidden: set[str]) -> tuple[Write, Write]:
    """By a schema of their own, which may change what it is given."""
    one, many = TypeAdapter(schema), TypeAdapter(list[schema])

    def write(adapter: TypeAdapter[Any], exclude: Any, values: Any) -> bytes:
        return adapter.dump_json(adapter.validate_python(values, from_attributes=True), exclude=exclude)

    return partial(write, one, hidden), partial(write, many, {"__all__": hidden})


def _writing(fields: Mapping[str, FieldInfo], nested: Collection[str]) -> tuple[Write, Write]:
    if all(_is_kind(info, PLAIN) and not info.metadata for info in fields.values()):
        plain = partial(to_json, inf_nan_mode="null")
        return plain, plain
    types = {name: Any if name in nested else _annotated(info) for name, info in fields.items()}
    typed: Any = TypedDict("typed", types)  # type: ignore[misc]  # of types that only the moment knows
    return TypeAdapter(typed).dump_json, TypeAdapter(list[typed]).dump_json


def _annotated(info: FieldInfo) -> Any:
    return Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation


def _is_kind(info: FieldInfo, kinds: tuple[type[Any], ...]) -> bool:
    kind = kind_of(info.annotation)
    return isinstance(kind, type) and issubclass(kind, kinds)
