"""Change of a column's type with its values: `convert_column`, called by migrations.

Values are converted without loss, by the rules of PostgreSQL's casts.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    CHAR,
    JSON,
    BigInteger,
    Boolean,
    Connection,
    Date,
    DateTime,
    Integer,
    Numeric,
    SmallInteger,
    String,
    Uuid,
    bindparam,
    column,
    inspect,
    select,
    table,
    update,
)
from sqlalchemy import Enum as NativeEnum
from sqlalchemy.types import TypeDecorator, TypeEngine

from opportune.db.models.columns import value_for_message
from opportune.errors import OperatorError

MAX_ROWS_SHOWN = 5
ROWS_PER_FETCH = 1000

BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), False),
}
"""Boolean literals of PostgreSQL."""
INTEGER = re.compile(r"\s*[+-]?\d+\s*")
DECIMAL = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
DATE_TEXT = re.compile(r"\d{4}-\d\d-\d\d")
DATETIME_TEXT = re.compile(DATE_TEXT.pattern + r"([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d(:?\d\d)?)?)?")
UUID_TEXT = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
HEX_LENGTH = 32
"""Characters of a UUID on SQLite."""
CONVERSION_ERRORS = (ValueError, TypeError, ArithmeticError)
"""Errors of `convert` for a value that cannot be converted without loss."""


class ConversionError(OperatorError):
    """Raised if values of a column cannot be converted without loss."""


class StoredValue(NamedTuple):
    """Value of the column with the primary key of its row."""

    value: Any
    key: Sequence[Any]


def convert_column(
    op: Any, table_name: str, column_name: str, type_: TypeEngine[Any], *, postgresql_using: str, language: str = ""
) -> None:
    """Change the type of a column and convert its values without loss. Migrations call it.

    Args:
        op: The migration's `op`.
        table_name: Name of the table.
        column_name: Name of the column.
        type_: The new type.
        postgresql_using: Expression with which PostgreSQL converts a value. SQLite's values are converted in Python.
        language: Language of a text that becomes a translated text, or that remains of one.

    Raises:
        ConversionError: Some values cannot be converted without loss. The message names their rows.
        TypeError: The migration is rendered as SQL, which cannot depend on the rows.
    """
    connection = op.get_bind()
    is_connected = isinstance(connection, Connection)
    values = _ColumnValues(connection, table_name, column_name, language) if is_connected else None
    # Without a connection: a Recorder returns no rows, and the SQL writer returns None, which raises TypeError.
    converted = values.convert(type_) if values else [*connection.execute(select(column(column_name)))]
    with op.batch_alter_table(table_name) as batch_op:
        batch_op.alter_column(column_name, type_=type_, postgresql_using=postgresql_using)
    if values:
        values.store(converted)


class _ColumnValues:
    """Values of a column before its type changes."""

    def __init__(self, connection: Connection, table_name: str, column_name: str, language: str) -> None:
        inspector = inspect(connection)
        types = {info["name"]: info["type"] for info in inspector.get_columns(table_name)}
        self.connection = connection
        self.language = language
        self.is_sqlite = connection.dialect.name == "sqlite"
        self.old_type: Any = Uuid() if reflected_family(types[column_name]) is Family.UUID else types[column_name]
        self.keys = inspector.get_pk_constraint(table_name)["constrained_columns"] or [column_name]
        self.column = column(column_name) if self.is_sqlite else column(column_name, self.old_type)
        keys: list[Any] = [column(name) for name in self.keys if name != column_name]
        self.table = table(table_name, self.column, *keys)
        if not self.is_sqlite:
            connection.exec_driver_sql("SET LOCAL timezone = 'UTC'")

    def convert(self, new: TypeEngine[Any]) -> list[StoredValue]:
        """Return the converted values to store on SQLite. PostgreSQL converts values itself."""
        converted: list[StoredValue] = []
        failed_values: list[StoredValue] = []
        for value, key in self._read_values():
            try:
                stored = self._convert_for_storage(value, new)
            except CONVERSION_ERRORS:
                failed_values.append(StoredValue(value, key))
            else:
                if self.is_sqlite and stored != value:
                    converted.append(StoredValue(stored, key))
        if failed_values:
            name, rows = f"{self.table.name}.{self.column.name}", self._describe_rows(failed_values)
            raise ConversionError(f"{name} has values that do not convert to {str(new).lower()}: {rows}")
        return converted

    def store(self, converted: Sequence[StoredValue]) -> None:
        conditions = (self.table.c[name] == bindparam(f"key_{name}") for name in self.keys)
        statement = update(self.table).where(*conditions).values({self.column.name: bindparam("new")})
        if converted:
            self.connection.execute(statement, [self._parameters(stored) for stored in converted])

    def _parameters(self, stored: StoredValue) -> dict[str, Any]:
        keys = zip(self.keys, stored.key, strict=True)
        return {"new": stored.value, **{f"key_{name}": key for name, key in keys}}

    def _read_values(self) -> Iterator[StoredValue]:
        keys = [self.table.c[name] for name in self.keys]
        statement = select(self.table.c[self.column.name], *keys).where(self.table.c[self.column.name].is_not(None))
        for value, *key in self.connection.execute(statement, execution_options={"yield_per": ROWS_PER_FETCH}):
            yield StoredValue(value, key)

    def _convert_value(self, value: Any, new: TypeEngine[Any]) -> Any:
        is_json_text = family_of(self.old_type) is Family.JSON and family_of(new) is Family.TEXT
        if is_json_text:  # the JSON itself becomes the text
            value = value if self.is_sqlite else json.dumps(value, ensure_ascii=False)
        elif self.is_sqlite:
            value = self._read_sqlite_value(value)
        if self.language and family_of(new) is Family.JSON:
            return {self.language: value}
        if self.language:
            value = json.loads(value).get(self.language, "")
        return convert(value, new)

    def _read_sqlite_value(self, value: Any) -> Any:
        process = self._processor(self.old_type, "result_processor", None)
        read_value = process(value) if process else value
        return read_value.replace(tzinfo=UTC) if isinstance(read_value, datetime) else read_value

    def _convert_for_storage(self, value: Any, new: TypeEngine[Any]) -> Any:
        process = self._processor(new, "bind_processor")
        converted = self._convert_value(value, new)
        return process(converted) if process else converted

    def _processor(self, type_: Any, name: str, *arguments: Any) -> Any:
        dialect = self.connection.dialect
        return getattr(type_.dialect_impl(dialect), name)(dialect, *arguments)

    def _describe_rows(self, rows: Sequence[StoredValue]) -> str:
        first = ", ".join(map(self._describe, rows[:MAX_ROWS_SHOWN]))
        return first if len(rows) <= MAX_ROWS_SHOWN else f"{first} and {len(rows) - MAX_ROWS_SHOWN} more"

    def _describe(self, stored: StoredValue) -> str:
        value = value_for_message(self.column.name, stored.value)
        if self.keys == [self.column.name]:
            return value
        key = ", ".join(f"{name} {key}" for name, key in zip(self.keys, stored.key, strict=True))
        return f"{value} ({key})"


class Family(Enum):
    """Column types with the same type of values, by their common base class."""

    TEXT = String
    INTEGER = Integer
    DECIMAL = Numeric
    BOOLEAN = Boolean
    DATE = Date
    DATETIME = DateTime
    JSON = JSON
    UUID = Uuid


def family_of(type_: Any) -> Family | None:
    """Return the family of a column type. None if its values cannot be converted, such as those of an array."""
    plain = type_.impl_instance if isinstance(type_, TypeDecorator) else type_
    if isinstance(plain, NativeEnum):
        return None
    return next((family for family in Family if isinstance(plain, family.value)), None)


def reflected_family(type_: Any) -> Family | None:
    """Return the family of a type that may be reflected. SQLite keeps a UUID in CHAR(32)."""
    is_hex = isinstance(type_, CHAR) and type_.length == HEX_LENGTH
    return Family.UUID if is_hex else family_of(type_)


def convert(value: Any, type_: Any) -> Any:
    """Convert a value to another column type.

    Raises:
        ValueError: The value cannot be converted without loss. Also TypeError or ArithmeticError.
    """
    family = family_of(type_)
    return value if value is None or family is None else CONVERSIONS[family](value, type_)


def write_text(value: Any) -> str:
    """Return a value as text like PostgreSQL's cast."""
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            day, _, clock = value.isoformat(" ").partition(" ")
            whole_seconds, dot, digits = clock.partition(".")
            fraction = (dot + digits[:6]).rstrip("0").rstrip(".")
            zone = "" if value.tzinfo is None else "+00"
            return f"{day} {whole_seconds.partition('+')[0]}{fraction}{zone}"
        case Decimal():
            return format(value, "f")
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
    return str(value)


def _to_text(value: Any, type_: Any) -> str:
    text = write_text(value)
    if type_.length and len(text) > type_.length:
        raise ValueError(text)
    return text


def _to_integer(value: Any, type_: Any) -> int:
    number = int(value)
    is_exact = INTEGER.fullmatch(value) if isinstance(value, str) else number == value
    if not is_exact:
        raise ValueError(value)
    bits = 32
    if isinstance(type_, SmallInteger):
        bits = 16
    elif isinstance(type_, BigInteger):
        bits = 64
    if not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise ValueError(value)
    return number


def _to_decimal(value: Any, type_: Any) -> Decimal:
    if isinstance(value, str) and not DECIMAL.fullmatch(value):
        raise ValueError(value)
    number = Decimal(int(value)) if isinstance(value, bool) else Decimal(str(value).strip())
    if not number.is_finite():
        raise ValueError(value)
    _, digits, exponent = number.normalize().as_tuple()
    scale = type_.scale
    if scale is not None and -int(exponent) > scale:
        raise ValueError(value)
    if type_.precision is not None and scale is not None and len(digits) + int(exponent) > type_.precision - scale:
        raise ValueError(value)
    return number


def _to_boolean(value: Any, _type: Any) -> bool:
    if isinstance(value, str) and value.strip().lower() in BOOLEANS:
        return BOOLEANS[value.strip().lower()]
    if isinstance(value, bool | int | float | Decimal) and value in (0, 1):
        return bool(value)
    raise ValueError(value)


def _to_date(value: Any, _type: Any) -> date:
    if isinstance(value, datetime):
        if value.timetz().replace(tzinfo=None) != time():
            raise ValueError(value)
        return value.date()
    if isinstance(value, str) and DATE_TEXT.fullmatch(value):
        return date.fromisoformat(value)
    if isinstance(value, date):
        return value
    raise ValueError(value)


def _to_datetime(value: Any, type_: Any) -> datetime:
    if isinstance(value, str) and DATETIME_TEXT.fullmatch(value):
        value = datetime.fromisoformat(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise TypeError(value)
    utc_time = value if value.tzinfo else value.replace(tzinfo=UTC)
    utc_time = utc_time.astimezone(UTC)
    return utc_time if type_.timezone else utc_time.replace(tzinfo=None)


def _to_json(value: Any, _type: Any) -> Any:
    match value:
        case str():
            return json.loads(value, parse_constant=_refuse)
        case Decimal():
            number = int(value) if value == int(value) else float(value)
            if Decimal(str(number)) != value:
                raise ValueError(value)
            return number
        case date():
            return value.isoformat()
        case UUID():
            return str(value)
    return value


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _to_uuid(value: Any, _type: Any) -> UUID:
    if isinstance(value, str) and UUID_TEXT.fullmatch(value):
        return UUID(value)
    if isinstance(value, UUID):
        return value
    raise ValueError(value)


CONVERSIONS: dict[Family, Callable[[Any, Any], Any]] = {
    Family.TEXT: _to_text,
    Family.INTEGER: _to_integer,
    Family.DECIMAL: _to_decimal,
    Family.BOOLEAN: _to_boolean,
    Family.DATE: _to_date,
    Family.DATETIME: _to_datetime,
    Family.JSON: _to_json,
    Family.UUID: _to_uuid,
}
