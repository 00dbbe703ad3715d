"""Names of fields for columns of an existing database."""

import builtins
import re
from keyword import iskeyword

from sqlmodel import SQLModel

WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
TYPES = {name for name, value in vars(builtins).items() if isinstance(value, type) and name.islower()}
RESERVED_NAMES = {*dir(SQLModel), *TYPES, "conv", "datetime", "decimal", "text", "uuid"}
"""Names that a field would shadow in SQLModel or for later fields."""


def field_name(column: str) -> str:
    """Return a Python name for a column: `unit_price` for UnitPrice, `number_1st` for 1st, `class_` for class."""
    words = re.sub(r"\W+", "_", WORD_START.sub("_", column)).lower()
    name = re.sub(r"_{2,}", "_", words).strip("_") or "field"
    if not name[0].isidentifier():
        name = f"number_{name}"
    return f"{name}_" if iskeyword(name) else name


def class_words(table: str) -> str:
    """Return a table name from which sqlacodegen can derive a class name."""
    words = re.sub(r"\W+", "_", table).strip("_") or "table"
    return words if words[0].isidentifier() else f"number_{words}"
