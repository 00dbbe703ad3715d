"""Types of columns, adapted so that models can hold them."""

from typing import Any

from sqlalchemy import (
    ARRAY,
    CLOB,
    DOUBLE,
    JSON,
    NCHAR,
    NVARCHAR,
    Column,
    Date,
    DateTime,
    DefaultClause,
    Double,
    MetaData,
    String,
    Text,
    TextClause,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import NullType, TypeEngine

from opportune.cli.database.inspection.defaults import portable_default
from opportune.db.models.native_type import NativeType

SQLITE_TYPES = {NVARCHAR: String, NCHAR: String, CLOB: Text, DOUBLE: Double}
"""Types that SQLite takes and PostgreSQL does not have, with what both have."""
ZERO_DATE = "'0000-00-00"
BASE_TYPE = "base type"
"""Key in `Column.info`: the type that a domain is based on."""


def adapt_columns(metadata: MetaData) -> list[str]:
    """Give reflected columns types and defaults that a model can name, on both databases where that is possible.

    Returns the columns whose default is the zero date of MySQL, which no model can have.
    """
    zero_dates: list[str] = []
    for column in (column for table in metadata.tables.values() for column in table.columns):
        if isinstance(column.type, postgresql.DOMAIN):
            column.info[BASE_TYPE] = column.type.data_type
        column.type = _adapted(column.type)
        default = column.server_default
        if not isinstance(default, DefaultClause) or not isinstance(default.arg, TextClause):
            continue
        if isinstance(column.type, (Date, DateTime)) and default.arg.text.startswith(ZERO_DATE):
            column.server_default = None
            zero_dates.append(f"{column.table.name}.{column.name}")
        elif column is not column.table.autoincrement_column:
            default.arg.text = portable_default(default.arg.text)
    return zero_dates


def value_type(column: Column[Any]) -> type[Any] | None:
    """Return the Python type of a column's values; None if it is unknown, or may be any."""
    kind = column.info.get(BASE_TYPE, column.type)
    try:
        python_type: type[Any] = kind.python_type
    except NotImplementedError:
        return None
    return None if isinstance(kind, JSON) else python_type


def type_name(kind: TypeEngine[Any]) -> str:
    """Return PostgreSQL's name of a type."""
    return kind.compile(postgresql.dialect())  # type: ignore[no-untyped-call]  # SQLAlchemy's own


def _adapted(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    if isinstance(kind, postgresql.DOMAIN):
        return NativeType(type_name(kind))
    if isinstance(kind, ARRAY) and isinstance(kind.item_type, (postgresql.DOMAIN, NativeType)):
        return NativeType(f"{type_name(kind.item_type)}[]")  # the driver knows no such arrays: their values are text
    if isinstance(kind, NullType):  # a column without a type, as SQLite has it
        return Text()
    if isinstance(kind, postgresql.JSONB):
        return JSON().with_variant(postgresql.JSONB(), "postgresql")
    for of_sqlite, generic in SQLITE_TYPES.items():
        if type(kind) is of_sqlite:
            arguments = {"length": kind.length} if isinstance(kind, String) and kind.length else {}
            portable: TypeEngine[Any] = generic(**arguments)
            return portable.with_variant(kind, "sqlite")
    return kind


def variant(kind: TypeEngine[Any]) -> tuple[str, TypeEngine[Any]] | None:
    """Return the kind of database for which `adapt_columns` has kept another type, and that type."""
    if isinstance(kind, JSON) and type_name(kind) == "JSONB":
        return "postgresql", postgresql.JSONB()
    on_sqlite = kind.dialect_impl(sqlite.dialect())
    return ("sqlite", on_sqlite) if type(on_sqlite) in SQLITE_TYPES and type(kind) not in SQLITE_TYPES else None
