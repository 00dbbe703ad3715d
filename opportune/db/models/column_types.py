"""The type of a column from the annotation of its field, so that no model need name it."""

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
"""Characters: room for the values to come of a `Literal`."""


def choose_column_type(info: FieldInfo) -> None:
    """Tell SQLModel of the column's type, unless the field has an `sa_type`, or a type that SQLModel knows itself."""
    told = [mark for mark in info.metadata if hasattr(mark, "sa_type")]
    if any(mark.sa_type is not PydanticUndefined or mark.sa_column is not PydanticUndefined for mark in told):
        return
    if (kind := _column_type(info)) is None:
        return
    if told:  # a copy: that of an alias may be another field's too
        info.metadata[info.metadata.index(told[0])] = replace(told[0], sa_type=kind)
    else:
        info.metadata.extend(Field(sa_type=kind).metadata)


def _column_type(info: FieldInfo) -> Any:
    wished = [mark.kind for mark in marks_of(info, Stored)][-1:]
    longest = [mark.max_length for mark in marks_of(info, MaxLen)][-1:]
    if not wished:
        return _type_for(plain_type(info.annotation))
    if longest and (wished[0] is UNBOUNDED or type(wished[0]) is String):
        return String(longest[0])
    return Text() if wished[0] is UNBOUNDED else wished[0]


def _type_for(kind: Any) -> Any:
    """For what SQLModel knows no type."""
    outer = get_origin(kind) or kind
    if outer is list:
        return MutableList.as_mutable(JSON(none_as_null=True))
    if outer is dict:
        return MutableDict.as_mutable(JSON(none_as_null=True))
    if outer is Any:
        return JSON()
    if outer is Literal:
        is_number = all(type(value) is int for value in get_args(kind))
        return Integer() if is_number else String(MAX_CHOICE_LENGTH)
    return None
