"""Detection of PostgreSQL features that SQLite lacks, by creating the tables in SQLite."""

from collections.abc import Iterator

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    DefaultClause,
    MetaData,
    Sequence,
    Table,
    create_engine,
    text,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import CompileError, DBAPIError, SQLAlchemyError

from opportune.contrib.inspectdb.types import type_name
from opportune.db.models.native_type import NativeType


def only_on_postgresql(metadata: MetaData) -> list[str]:
    """Return columns, defaults and constraints that need PostgreSQL, such as `film.rating (tsvector)`."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        reasons = [reason for table in metadata.tables.values() for reason in _reasons(connection, table)]
    engine.dispose()
    return reasons


def _reasons(connection: Connection, table: Table) -> Iterator[str]:
    unsupported = [*_unsupported_columns(connection, table)]
    yield from unsupported
    if unsupported:
        return
    copy = table.to_metadata(MetaData())
    copy.constraints -= copy.foreign_key_constraints  # SQLite creates a table before those it refers to
    for column in copy.columns:
        if isinstance(column.default, Sequence):
            column.default = None
    checks = {item for item in copy.constraints if isinstance(item, CheckConstraint)}
    copy.constraints -= checks
    if cause := _creation_error(connection, copy):
        yield f"{table.name} ({cause})"
        return
    for check in sorted(checks, key=lambda check: str(check.name)):
        copy.constraints.add(check)
        if _creation_error(connection, copy):
            yield f"{table.name} (constraint {check.name})"
        copy.constraints.remove(check)


def _creation_error(connection: Connection, table: Table) -> str:
    """Return SQLite's error when it creates the table; empty if it succeeds."""
    try:
        table.create(connection)
    except SQLAlchemyError as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        return str(cause).splitlines()[0]
    table.drop(connection)
    return ""


def _unsupported_columns(connection: Connection, table: Table) -> Iterator[str]:
    for column in table.columns:
        if not _supports_type(column):
            yield f"{table.name}.{column.name} ({type_name(column.type).lower()})"
        elif not _supports_default(connection, column):
            yield f"{table.name}.{column.name} (its default)"


def _supports_type(column: Column[object]) -> bool:
    if isinstance(column.type, NativeType):
        return False
    try:
        column.type.compile(sqlite.dialect())
    except CompileError:
        return False
    return True


def _supports_default(connection: Connection, column: Column[object]) -> bool:
    default = column.server_default
    if not isinstance(default, DefaultClause) or column is column.table.autoincrement_column:
        return True
    try:
        connection.execute(text(f"SELECT {default.arg}".replace(":", "\\:")))
    except SQLAlchemyError:
        return False
    return True
