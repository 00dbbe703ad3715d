"""Names and types of columns, converted so that models can use them."""

import builtins
import re
from keyword import iskeyword
from typing import Any

import sqlalchemy as sa
from sqlacodegen.generators import TablesGenerator
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import NullType, TypeEngine
from sqlmodel import SQLModel

from opportune.cli.scaffold.words import snake
from opportune.db.migrations.create_statements import escape_parameters
from opportune.db.models.native_type import NativeType

CAST_LITERAL = re.compile(r"""(?P<literal>'(?:[^']|'')*')::[\w" .]+(?:\(\d+(?:,\s*\d+)?\))?[\w ]*""")
CAST_SEQUENCE = re.compile(r"(?P<call>nextval\('.+')::regclass\)")
NOW = ("now()", "CURRENT_TIMESTAMP")
SQLITE_TYPES = {sa.NVARCHAR: sa.String, sa.NCHAR: sa.String, sa.CLOB: sa.Text, sa.DOUBLE: sa.Double}
"""Types that only SQLite accepts, with portable replacements."""
BASE_TYPE = "base type"
"""Key in `Column.info` with the base type of a domain."""
TYPES = {name for name, value in vars(builtins).items() if isinstance(value, type) and name.islower()}
RESERVED_NAMES = {*dir(SQLModel), *TYPES, "conv", "datetime", "decimal", "text", "uuid"}
"""Names that a field would shadow in SQLModel or for later fields."""


def portable_default(expression: str) -> str:
    """Return `'x'` for `'x'::text`, and CURRENT_TIMESTAMP for now(). PostgreSQL treats them as equal."""
    if match := CAST_LITERAL.fullmatch(expression):
        return match["literal"]
    if match := CAST_SEQUENCE.fullmatch(expression):  # the form that Alembic compares
        return f"{match['call']})"
    return NOW[1] if expression == NOW[0] else expression


def adapt_columns(metadata: sa.MetaData) -> list[str]:
    """Convert types and defaults of reflected columns for models, portable if possible.

    Returns:
        Columns whose default, the zero date of MySQL, was removed.
    """
    zero_dates: list[str] = []
    columns = [column for table in metadata.tables.values() for column in table.columns]
    for column in columns:
        if isinstance(column.type, postgresql.DOMAIN):
            column.info[BASE_TYPE] = column.type.data_type
        column.type = _adapted_type(column.type)
        default = column.server_default
        if isinstance(default, sa.Computed):
            default.sqltext = sa.literal_column(escape_parameters(str(default.sqltext)))
        if not isinstance(default, sa.DefaultClause) or not isinstance(default.arg, sa.TextClause):
            continue
        if default.arg.text.upper() == "NULL":  # PostgreSQL does not store it
            column.server_default = None
        elif isinstance(column.type, (sa.Date, sa.DateTime)) and default.arg.text.startswith("'0000-00-00"):
            column.server_default = None
            zero_dates.append(f"{column.table.name}.{column.name}")
        elif column is not column.table.autoincrement_column:
            default.arg.text = escape_parameters(portable_default(default.arg.text))
    return zero_dates


def value_type(column: sa.Column[Any]) -> type[Any] | None:
    """Return the Python type of a column's values; None if it is unknown, or JSON."""
    type_ = column.info.get(BASE_TYPE, column.type)
    try:
        python_type: type[Any] = type_.python_type
    except NotImplementedError:
        return None
    return None if isinstance(type_, sa.JSON) else python_type


def type_name(type_: TypeEngine[Any]) -> str:
    return type_.compile(postgresql.dialect())  # type: ignore[no-untyped-call]


def _adapted_type(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    if isinstance(type_, postgresql.DOMAIN):
        return NativeType(type_name(type_))
    if isinstance(type_, sa.ARRAY) and isinstance(type_.item_type, (postgresql.DOMAIN, NativeType)):
        return NativeType(f"{type_name(type_.item_type)}[]")  # the driver returns such arrays as text
    if isinstance(type_, NullType):  # SQLite allows columns without a type
        return sa.Text()
    if isinstance(type_, postgresql.JSONB):
        return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    for sqlite_type, generic in SQLITE_TYPES.items():
        if type(type_) is sqlite_type:
            arguments = {"length": type_.length} if isinstance(type_, sa.String) and type_.length else {}
            portable: TypeEngine[Any] = generic(**arguments)
            return portable.with_variant(type_, "sqlite")
    return type_


def database_variant(type_: TypeEngine[Any]) -> tuple[str, TypeEngine[Any]] | None:
    """Return the name of the database for which `adapt_columns` set another type, and that type."""
    if isinstance(type_, sa.JSON) and type_name(type_) == "JSONB":
        return "postgresql", postgresql.JSONB()
    on_sqlite = type_.dialect_impl(sqlite.dialect())
    is_variant = type(on_sqlite) in SQLITE_TYPES and type(type_) not in SQLITE_TYPES
    return ("sqlite", on_sqlite) if is_variant else None


class TypeWriter(TablesGenerator):
    """Writes types that sqlacodegen does not support, or writes in a form that migrations cannot use."""

    def fix_column_types(self, table: sa.Table) -> None:
        """Derive no types from checks. For `CHECK (a IN (0, 1))` sqlacodegen writes `bool`, and removes the check."""
        checks = {item for item in table.constraints if isinstance(item, sa.CheckConstraint)}
        table.constraints -= checks
        super().fix_column_types(table)
        table.constraints |= checks

    def render_column_type(self, column: sa.Column[Any]) -> str:
        if isinstance(column.type, NativeType):
            return repr(column.type)
        if isinstance(column.type, postgresql.HSTORE):
            return "HSTORE()"  # sqlacodegen would write `HSTORE(Text())` without an import of Text
        if result := database_variant(column.type):
            database, variant_type = result
            self.add_import(variant_type)
            name = super().render_column_type(column).removesuffix("()")
            name = name if name.endswith(")") else f"{name}()"
            code = "JSONB()" if isinstance(variant_type, JSONB) else repr(variant_type)
            return f'{name}.with_variant({code}, "{database}")'
        if isinstance(column.type, sa.ARRAY) and isinstance(column.type.item_type, sa.Enum):
            enum = column.type.item_type
            # sqlalchemy.Enum creates its type in the database
            return f"ARRAY({sa.Enum(*enum.enums, name=enum.name, schema=enum.schema)!r})"
        return super().render_column_type(column)

    def add_import(self, obj: Any) -> None:
        if isinstance(obj, NativeType):
            self.add_literal_import("opportune.db", "NativeType")
        else:
            super().add_import(obj)


def field_name(column: str) -> str:
    """Return a Python name for a column: `unit_price` for UnitPrice, `number_1st` for 1st, `class_` for class."""
    name = re.sub(r"[\W_]+", "_", snake(column)).strip("_") or "field"
    if not name[0].isidentifier():
        name = f"number_{name}"
    return f"{name}_" if iskeyword(name) else name


def class_words(table: str) -> str:
    """Return a table name from which sqlacodegen can derive a class name."""
    words = re.sub(r"\W+", "_", table).strip("_") or "table"
    return words if words[0].isidentifier() else f"number_{words}"
