"""Column types from the annotations of fields."""

from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from annotated_types import MaxLen
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sqlalchemy import JSON, BigInteger, Integer, String, Text
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlmodel import Field

from opportune.db.models.translated import TranslatedColumn
from opportune.schemas.annotations import UNBOUNDED, Stored, annotations_of, plain_type

# SQLite generates ids only for a column whose type is exactly INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")
LITERAL_COLUMN_LENGTH = 64
"""Characters in the column of a `Literal` with text, which leaves room for longer values."""


def choose_column_type(info: FieldInfo) -> None:
    """Set the column's options: those of `Field`, else those of the field's type, also inside `OwnerId | None`.

    The column gets a `sa_type`, unless it has one or SQLModel supports the type.
    """
    of_type = [item for field in annotations_of(info, FieldInfo) for item in field.metadata]
    columns = [vars(item) for item in (*info.metadata, *of_type) if hasattr(item, "sa_type")]  # `Field` comes first
    options = {
        name: value for column in reversed(columns) for name, value in column.items() if value is not PydanticUndefined
    }
    if options.keys().isdisjoint(("sa_type", "sa_column")) and (column_type := _find_column_type(info)) is not None:
        options["sa_type"] = column_type
    if options:  # a new object, because fields of the same type alias share it
        others = [item for item in info.metadata if not hasattr(item, "sa_type")]
        info.metadata = [*others, *Field(**options).metadata]


def _find_column_type(info: FieldInfo) -> Any:
    column_types = [annotation.column_type for annotation in annotations_of(info, Stored)]
    max_lengths = [annotation.max_length for annotation in annotations_of(info, MaxLen)][-1:]
    if not column_types:
        return _default_type(plain_type(info.annotation))
    *text_types, column_type = column_types
    if isinstance(column_type, TranslatedColumn):
        return TranslatedColumn(_bounded_type(text_types[-1] if text_types else String(), max_lengths))
    return _bounded_type(column_type, max_lengths)


def _bounded_type(column_type: Any, max_lengths: Sequence[int]) -> Any:
    """Return the type of a column with the maximum length of its field."""
    if max_lengths and (column_type is UNBOUNDED or type(column_type) is String):
        return String(max_lengths[0])
    return Text() if column_type is UNBOUNDED else column_type


def _default_type(annotation: Any) -> Any:
    """Return the column type of an annotation that SQLModel does not support, else None."""
    outer = get_origin(annotation) or annotation
    if outer is list:
        return MutableList.as_mutable(JSON(none_as_null=True))
    if outer is dict:
        return MutableDict.as_mutable(JSON(none_as_null=True))
    if outer is Any:
        return JSON()
    if outer is Literal:
        is_number = all(type(value) is int for value in get_args(annotation))
        return Integer() if is_number else String(LITERAL_COLUMN_LENGTH)
    return None
