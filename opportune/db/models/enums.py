"""Fields of an Enum: a column that holds the values of its members, and a check constraint that names them."""

import re
from enum import Enum, Flag
from typing import Any

from sqlalchemy import CheckConstraint, Dialect, Integer, String, Table, TypeDecorator, column
from sqlalchemy import Enum as NamesOfMembers

MIN_COLUMN_LENGTH = 64
"""Characters: room for the members to come."""

# SQLAlchemy takes it for a parameter when it reads a constraint that a database has.
PARAMETER = re.compile(r"(?<![:\w\\]):\w")


class EnumValue(TypeDecorator[Enum]):
    """Stores the value of a member: text, or whole numbers where all members are such."""

    impl: Any = String
    cache_ok = True

    def __init__(self, kind: type[Enum]) -> None:
        values = [member.value for member in kind]
        super().__init__(max([MIN_COLUMN_LENGTH, *(len(value) for value in values if isinstance(value, str))]))
        self.kind = kind
        if all(type(value) is int for value in values):
            self.impl = Integer()
        elif not all(isinstance(value, str) and not PARAMETER.search(value) for value in values):
            raise TypeError(
                f"The members of {kind.__name__} cannot be stored: let their values be all texts, none of them with a "
                "colon at the start of a word, or all whole numbers."
            )

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return value.value if isinstance(value, Enum) else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Enum | None:
        return None if value is None else self.kind(value)


def store_values(table: Table) -> None:
    """Let the columns for which SQLModel has chosen an Enum of the database's own hold values instead."""
    for there in table.columns:
        kind = there.type
        if isinstance(kind, NamesOfMembers) and kind.enum_class:
            kind.native_enum = False  # or it would still make a type in PostgreSQL
            there.type = EnumValue(kind.enum_class)
            if not issubclass(kind.enum_class, Flag):  # whose members combine
                table.append_constraint(members_constraint(there.name, kind.enum_class))


def members_constraint(name: str, kind: type[Enum]) -> CheckConstraint:
    # The column by its name: with the table's own, each copy of the constraint would add itself to the table.
    return CheckConstraint(column(name).in_([member.value for member in kind]), name=name)
