"""Change of a column's type with its values: `convert_column`, called by migrations."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Uuid, bindparam, column, inspect, select, table, update
from sqlalchemy.exc import DataError
from sqlalchemy.types import TypeEngine

from opportune.db.migrations.value_conversion import CONVERSION_ERRORS, Family, convert, family_of, reflected_family
from opportune.db.models.sensitive_names import value_for_message
from opportune.errors import OperatorError

MAX_ROWS_SHOWN = 5
ROWS_PER_FETCH = 1000


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
        ConversionError: Some values cannot be converted without loss. The message names their rows, unless only
            PostgreSQL refuses them.
        TypeError: The migration is rendered as SQL, which cannot depend on the rows.
    """
    connection = op.get_bind()
    values = None
    if isinstance(connection, Connection):
        values = _ColumnValues(connection, table_name, column_name, language)
        converted = values.convert(type_)
    else:  # a Recorder has no rows, and the SQL writer returns None, which raises TypeError
        list(connection.execute(select(column(column_name))))
    try:
        with op.batch_alter_table(table_name) as batch_op:
            batch_op.alter_column(column_name, type_=type_, postgresql_using=postgresql_using)
    except DataError as error:  # such as Arabic digits, and PostgreSQL's message shows the value
        raise ConversionError(f"{table_name}.{column_name} has values that do not convert to {type_!s}") from error
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
            name = f"{self.table.name}.{self.column.name}"
            rows = self._describe_rows(failed_values)
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
            texts = json.loads(value) or {self.language: ""}
            value = texts[self.language]  # an error if there are only texts in other languages
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
