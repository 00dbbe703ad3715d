"""Columns that store the values of Enums."""

import re
from enum import Enum, Flag
from typing import Any

from sqlalchemy import CheckConstraint, Dialect, Integer, String, Table, TypeDecorator, column
from sqlalchemy import Enum as NativeEnum

MIN_ENUM_LENGTH = 64
"""Minimum characters of the column of an Enum, which leaves room for new members."""

# SQLAlchemy reads `:name` in a reflected constraint as a bind parameter.
PARAMETER = re.compile(r"(?<![:\w\\]):\w")


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
                table.append_constraint(members_constraint(column_.name, native.enum_class))


def members_constraint(name: str, enum: type[Enum]) -> CheckConstraint:
    # Not the table's column: with it, each copy of the constraint would attach itself to the table.
    return CheckConstraint(column(name).in_([member.value for member in enum]), name=name)
