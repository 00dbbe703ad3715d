"""Column types from the annotations of fields."""

from dataclasses import replace
from typing import Any, Literal, get_args, get_origin

from annotated_types import MaxLen
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sqlalchemy import JSON, Integer, String, Text
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlmodel import Field

from opportune.schemas.annotations import UNBOUNDED, Stored, marks_of, plain_type

MAX_CHOICE_LENGTH = 64
"""Minimum column length of a `Literal` in characters, which leaves room for new values."""


def choose_column_type(info: FieldInfo) -> None:
    """Set the column's `sa_type`, unless the field has one or SQLModel supports its type."""
    marks = [mark for mark in info.metadata if hasattr(mark, "sa_type")]
    if any(mark.sa_type is not PydanticUndefined or mark.sa_column is not PydanticUndefined for mark in marks):
        return
    if (column_type := _column_type(info)) is None:
        return
    if marks:  # a copy, because fields of the same type alias share the object
        info.metadata[info.metadata.index(marks[0])] = replace(marks[0], sa_type=column_type)
    else:
        info.metadata.extend(Field(sa_type=column_type).metadata)


def _column_type(info: FieldInfo) -> Any:
    stored = [mark.column_type for mark in marks_of(info, Stored)][-1:]
    max_length = [mark.max_length for mark in marks_of(info, MaxLen)][-1:]
    if not stored:
        return _default_type(plain_type(info.annotation))
    if max_length and (stored[0] is UNBOUNDED or type(stored[0]) is String):
        return String(max_length[0])
    return Text() if stored[0] is UNBOUNDED else stored[0]


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
        return Integer() if is_number else String(MAX_CHOICE_LENGTH)
    return None
