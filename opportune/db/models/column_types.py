"""Options and types of columns from the annotations of fields, and columns that store the values of Enums."""

import re
from enum import Enum, Flag
from typing import Any, Literal, TypeVar, get_args, get_origin

from annotated_types import MaxLen
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sqlalchemy import JSON, BigInteger, CheckConstraint, Dialect, Integer, String, Table, Text, TypeDecorator, column
from sqlalchemy import Enum as NativeEnum
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlalchemy.orm import Mapped
from sqlmodel import Field
from sqlmodel.main import FieldInfoMetadata, get_sqlalchemy_type

from opportune.db.models.translated import TranslatedColumn
from opportune.schemas.annotations import UNBOUNDED, Stored, annotations_of, plain_type

# SQLite generates ids only for a column whose type is exactly INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")
LITERAL_COLUMN_LENGTH = 64
"""Characters in the column of a `Literal` with text, which leaves room for longer values."""
MIN_ENUM_LENGTH = 64
"""Minimum characters of the column of an Enum, which leaves room for new members."""

# SQLAlchemy reads `:name` in a reflected constraint as a bind parameter.
PARAMETER = re.compile(r"(?<![:\w\\]):\w")


def set_column_options(info: FieldInfo) -> None:
    """Set the options of a field's column before SQLModel reads them.

    The options of `Field(…)` override those of the field's type, such as `OwnerId` or `OwnerId | None`. The column gets
    a type, unless the options name one or SQLModel supports the type of the field.
    """
    options = _declared_options(info)
    if options.keys().isdisjoint(("sa_type", "sa_column")):
        column_type = _find_column_type(info)
        if column_type is not None:
            options["sa_type"] = column_type
        else:
            get_sqlalchemy_type(info)  # raises a ValueError for an unsupported type
    if options:  # in a new object, because fields with the same type share the one of the type
        others = [item for item in info.metadata if not isinstance(item, FieldInfoMetadata)]
        info.metadata = [*others, *Field(**options).metadata]


def _declared_options(info: FieldInfo) -> dict[str, Any]:
    """Return the options that SQLModel's `Field` has stored in the metadata of the field and of its type."""
    inner_fields = annotations_of(info, FieldInfo)
    metadata = [*info.metadata, *(item for field in inner_fields for item in field.metadata)]
    options: dict[str, Any] = {}
    for item in reversed(metadata):  # the first one overrides the others
        if isinstance(item, FieldInfoMetadata):
            options |= {name: value for name, value in vars(item).items() if value is not PydanticUndefined}
    return options


def _find_column_type(info: FieldInfo) -> Any:
    """Return the type of the last `Stored` annotation, or None if SQLModel supports the type of the field.

    The type of a translated text is annotated before that of all its translations.
    """
    column_types = [annotation.column_type for annotation in annotations_of(info, Stored)]
    max_length = next(reversed([annotation.max_length for annotation in annotations_of(info, MaxLen)]), None)
    if not column_types:
        return _default_type(plain_type(info.annotation))
    if isinstance(plain_type(info.annotation), TypeVar):
        raise TypeError("the type has no other in brackets, such as Translated[Line]")
    *text_types, column_type = column_types
    if not isinstance(column_type, TranslatedColumn):
        return _bounded_type(column_type, max_length)
    text_type = text_types[-1] if text_types else String()
    return TranslatedColumn(_bounded_type(text_type, max_length))


def _bounded_type(column_type: Any, max_length: int | None) -> Any:
    """Return the type of a column with the maximum length of its field."""
    if max_length is not None and (column_type is UNBOUNDED or type(column_type) is String):
        return String(max_length)
    return Text() if column_type is UNBOUNDED else column_type


def _default_type(annotation: Any) -> Any:
    """Return the column type of an annotation that SQLModel does not support, else None."""
    for part in (annotation, *get_args(annotation)):
        if hasattr(part, "__tablename__"):
            raise TypeError(f"{part.__name__} is a table. Relations end with `= Relationship()`")
    outer = get_origin(annotation) or annotation
    if outer is Mapped:
        raise TypeError("Mapped is for other models. Fields are written `name: str = Field(max_length=20)`")
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


class EnumValue(TypeDecorator[Enum]):
    """Column type that stores a member's value: an integer if all values are integers, else text."""

    impl: Any = String
    cache_ok = True

    def __init__(self, enum: type[Enum]) -> None:
        values = [member.value for member in enum]
        super().__init__(max([MIN_ENUM_LENGTH, *(len(value) for value in values if isinstance(value, str))]))
        self.enum = enum
        if all(type(value) is int for value in values):
            self.impl = Integer()
        elif not all(isinstance(value, str) and not PARAMETER.search(value) for value in values):
            raise TypeError(
                f"The members of {enum.__name__} cannot be stored: their values must be all integers or all text. "
                "Text must not contain a word that starts with a colon."
            )

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return value.value if isinstance(value, Enum) else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Enum | None:
        return None if value is None else self.enum(value)


def store_enum_values(table: Table) -> None:
    """Replace SQLModel's native enum columns by columns that store the values."""
    for column_ in table.columns:
        native = column_.type
        if isinstance(native, NativeEnum) and native.enum_class:
            native.native_enum = False  # otherwise PostgreSQL would still get an enum type
            column_.type = EnumValue(native.enum_class)
            if not issubclass(native.enum_class, Flag):  # members of a Flag can be combined
                # Not the table's column: with it, each copy of the constraint would attach itself to the table.
                is_member = column(column_.name).in_([member.value for member in native.enum_class])
                table.append_constraint(CheckConstraint(is_member, name=column_.name))
