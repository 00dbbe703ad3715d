"""Types, extensions and sequences of PostgreSQL that new tables need."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from alembic.operations import ops
from sqlalchemy import ARRAY, Column, Connection, DefaultClause, Enum, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from opportune.db.migrations.code_operations import CodeOp
from opportune.db.migrations.create_statements import escape_parameters
from opportune.db.migrations.portable_sql import execute_code, quote_name
from opportune.db.models.native_type import NativeType

TYPE_DEFINITION = Path(__file__).with_name("postgresql_type.sql").read_text(encoding="utf-8")
"""Selects the statement that creates a type, or the extension that it belongs to."""
EXTENSIONS = Path(__file__).with_name("postgresql_extensions.sql").read_text(encoding="utf-8")
"""Extensions with the operator classes and functions of the indexes and defaults of an existing table."""
SEQUENCE = re.compile(r"nextval\('([^']+)'")


class TypeSteps(NamedTuple):
    """Steps for the types, extensions and sequences of new tables."""

    creations: Sequence[ops.MigrateOperation] = ()
    """Steps to run before the tables are created."""
    drops: Sequence[ops.MigrateOperation] = ()
    """Steps to run after the tables are dropped."""


def find_type_steps(connection: Connection, operations: Sequence[ops.MigrateOperation]) -> TypeSteps:
    """Return the steps for the tables that operations create on PostgreSQL."""
    if connection.dialect.name != "postgresql":
        return TypeSteps()
    tables = [operation.to_table() for operation in operations if isinstance(operation, ops.CreateTableOp)]
    columns = [column for table in tables for column in table.columns]
    item_types = [column.type.item_type if isinstance(column.type, ARRAY) else column.type for column in columns]
    enums = [type_ for type_ in item_types if isinstance(type_, Enum) and type_.name]
    enum_names = dict.fromkeys(type_.compile(connection.dialect) for type_ in enums)
    definitions = _read_type_definitions(connection, dict.fromkeys(map(_native_name, item_types)))
    schemas = {type_.schema for type_ in enums if type_.schema} | {
        name.rpartition(".")[0] for name in definitions if "." in name
    }
    sequences = dict.fromkeys(name for column in columns for name in _find_sequences(column))
    extensions = dict.fromkeys(name for table in tables for name in _read_extensions(connection, table.name))
    created = [
        *(f"CREATE SCHEMA IF NOT EXISTS {quote_name(schema)}" for schema in sorted(schemas)),
        *(f"CREATE EXTENSION IF NOT EXISTS {quote_name(name)}" for name in extensions),
        *map(_skip_if_it_exists, definitions.values()),
        *(f"CREATE SEQUENCE IF NOT EXISTS {name}" for name in sequences),
    ]
    dropped = [
        *(f"DROP SEQUENCE IF EXISTS {name}" for name in sequences),
        *(f"DROP TYPE IF EXISTS {name}" for name in enum_names),
        *filter(None, (_drop_statement(name, sql) for name, sql in definitions.items())),
    ]
    creations = [ops.ExecuteSQLOp(escape_parameters(statement)) for statement in created]
    return TypeSteps(creations, [*_on_postgresql(dropped)])


def _read_type_definitions(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    """Return the statements that create those types which an extension or CREATE TYPE defines."""
    definitions = {name: connection.scalar(text(TYPE_DEFINITION), {"name": name}) for name in names if name}
    return {name: definition for name, definition in definitions.items() if definition}


def _read_extensions(connection: Connection, table_name: str) -> Sequence[str]:
    name = connection.dialect.identifier_preparer.quote(table_name)
    return connection.scalars(text(EXTENSIONS), {"table": name}).all()


def _skip_if_it_exists(definition: str) -> str:
    """Ignore existing types, because PostgreSQL has no CREATE TYPE IF NOT EXISTS."""
    if definition.startswith("CREATE EXTENSION"):
        return definition
    return f"DO $do$ BEGIN {definition}; EXCEPTION WHEN duplicate_object THEN NULL; END $do$"


def _drop_statement(name: str, definition: str) -> str:
    type_ = definition.split()[1]
    return "" if type_ == "EXTENSION" else f"DROP {type_} IF EXISTS {name}"


def _on_postgresql(statements: Sequence[str]) -> Iterator[ops.MigrateOperation]:
    """Yield code that runs the statements only on PostgreSQL."""
    if statements:
        lines = [f"    {execute_code(statement)}" for statement in statements]
        yield CodeOp("", "\n".join(['if op.get_context().dialect.name == "postgresql":', *lines]))


def _native_name(type_: TypeEngine[Any]) -> str:
    """Return the name of a type that an extension or CREATE TYPE may define, else an empty string."""
    if isinstance(type_, NativeType):
        return type_.name.removesuffix("[]")
    return type(type_).__name__.lower() if isinstance(type_, (postgresql.CITEXT, postgresql.HSTORE)) else ""


def _find_sequences(column: Column[Any]) -> list[str]:
    default = column.server_default
    return SEQUENCE.findall(str(default.arg)) if isinstance(default, DefaultClause) else []
