"""Indexes on expressions in SQLite, such as `lower(email)`.

SQLAlchemy cannot reflect them. Alembic therefore ignores them when it compares a model with SQLite, and loses them
when it copies a table. This module compares them by name and restores them.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from alembic.operations import ops
from sqlalchemy import Column, Connection, Index, Table, event, text

INDEXES = """
    SELECT name, tbl_name, sql FROM sqlite_master AS existing
    WHERE type = 'index' AND EXISTS (SELECT 1 FROM pragma_index_xinfo(existing.name) WHERE cid = -2)
"""

CREATED = re.compile(r'\s*CREATE (?:UNIQUE )?INDEX "?(\w+)"? ON "?(\w+)"? \([^)]*\(', re.DOTALL)
RENAMED = re.compile(r"\s*ALTER TABLE .* RENAME ", re.DOTALL)
DROPPED = re.compile(r'\s*DROP INDEX (?:IF EXISTS )?"?(\w+)"?')


class ExpressionIndex(NamedTuple):
    name: str
    table: str
    sql: str


def expression_indexes(connection: Connection) -> list[ExpressionIndex]:
    """Return the expression indexes of a SQLite database."""
    return [ExpressionIndex(*row) for row in connection.execute(text(INDEXES))]


@contextmanager
def ignore_reflection_warnings() -> Iterator[None]:
    """Ignore warnings about expression indexes, which this module handles, and about options that models never have."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*expression-based index")
        warnings.filterwarnings("ignore", message="Could not instantiate type")  # int(11), which SQLite accepts
        warnings.filterwarnings("ignore", message="Can't validate argument")  # NOT VALID, NO INHERIT of PostgreSQL
        yield


@contextmanager
def preserve_expression_indexes(connection: Connection) -> Iterator[Callable[[], None]]:
    """Restore lost indexes at the end of the block. Yields a function that restores them earlier."""
    if connection.dialect.name != "sqlite":
        yield lambda: None
        return
    expected = {index.name: index for index in expression_indexes(connection)}

    def track(_connection: object, _cursor: object, statement: str, *_rest: Any) -> None:
        if created := CREATED.match(statement):
            expected[created[1]] = ExpressionIndex(created[1], created[2], statement)
        elif dropped := DROPPED.match(statement):
            expected.pop(dropped[1], None)
        elif RENAMED.match(statement):
            restore()  # before the rename, so that SQLite updates the names in the indexes

    def track_renames(_connection: object, _cursor: object, statement: str, *_rest: Any) -> None:
        if RENAMED.match(statement):
            expected.update({index.name: index for index in expression_indexes(connection)})

    def restore() -> None:
        _restore(connection, list(expected.values()))

    event.listen(connection, "before_cursor_execute", track)
    event.listen(connection, "after_cursor_execute", track_renames)
    try:
        with ignore_reflection_warnings():
            yield restore
    finally:
        event.remove(connection, "before_cursor_execute", track)
        event.remove(connection, "after_cursor_execute", track_renames)
    restore()


def _restore(connection: Connection, expected: Sequence[ExpressionIndex]) -> None:
    tables = set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")))
    existing = {index.name for index in expression_indexes(connection)}
    for index in expected:
        if index.name not in existing and index.table in tables:
            connection.exec_driver_sql(index.sql)


def compare_expression_indexes(
    connection: Connection, tables: Sequence[Table]
) -> tuple[list[ops.MigrateOperation], list[ops.MigrateOperation]]:
    """Return the operations on expression indexes that Alembic ignores on SQLite, and those that undo them."""
    if connection.dialect.name != "sqlite":
        return [], []
    existing = {index.name: index for index in expression_indexes(connection)}
    expected = {str(index.name): index for table in tables for index in table.indexes if _has_expression(index)}
    names = {table.name for table in tables}
    upgrade: list[ops.MigrateOperation] = []
    downgrade: list[ops.MigrateOperation] = []
    for name, old in existing.items():
        if name not in expected and old.table in names:
            upgrade.append(ops.DropIndexOp(name, old.table))
            downgrade.append(ops.ExecuteSQLOp(old.sql))
    for name, index in expected.items():
        if name not in existing:
            upgrade.append(ops.CreateIndexOp.from_index(index))
            downgrade.append(ops.DropIndexOp.from_index(index))
    return upgrade, downgrade


def _has_expression(index: Index) -> bool:
    return any(not isinstance(part, Column) for part in index.expressions)
