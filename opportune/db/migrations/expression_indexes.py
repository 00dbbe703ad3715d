"""Indexes on expressions in SQLite, such as `lower(email)`.

SQLAlchemy cannot reflect them. Alembic therefore leaves them out when it compares a model with SQLite, and loses them
when it alters a table by copying it. Here they are compared by name and put back.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from alembic.operations import ops
from sqlalchemy import Column, Connection, Index, Table, event, text

CREATED = """
    SELECT name, tbl_name, sql FROM sqlite_master AS made
    WHERE type = 'index' AND EXISTS (SELECT 1 FROM pragma_index_xinfo(made.name) WHERE cid = -2)
"""


MADE = re.compile(r'\s*CREATE (?:UNIQUE )?INDEX "?(\w+)"? ON "?(\w+)"? \([^)]*\(', re.DOTALL)
RENAMED = re.compile(r"\s*ALTER TABLE .* RENAME ", re.DOTALL)
DROPPED = re.compile(r'\s*DROP INDEX (?:IF EXISTS )?"?(\w+)"?')


class ExpressionIndex(NamedTuple):
    name: str
    table: str
    sql: str


def expression_indexes(connection: Connection) -> list[ExpressionIndex]:
    """The indexes on expressions that a SQLite database has."""
    return [ExpressionIndex(*row) for row in connection.execute(text(CREATED))]


@contextmanager
def ignore_reflection_warnings() -> Iterator[None]:
    """Silence the warnings about these indexes, which are handled here, and about options that no model has."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*expression-based index")
        warnings.filterwarnings("ignore", message="Could not instantiate type")  # int(11), which SQLite takes
        warnings.filterwarnings("ignore", message="Can't validate argument")  # NOT VALID, NO INHERIT of PostgreSQL
        yield


@contextmanager
def preserve_expression_indexes(connection: Connection) -> Iterator[Callable[[], None]]:
    """Put back what was not dropped by name when the block ends, and whenever what it gives is called."""
    if connection.dialect.name != "sqlite":
        yield lambda: None
        return
    wanted = {index.name: index for index in expression_indexes(connection)}

    def note(_connection: object, _cursor: object, statement: str, *_rest: Any) -> None:
        if made := MADE.match(statement):
            wanted[made[1]] = ExpressionIndex(made[1], made[2], statement)
        elif dropped := DROPPED.match(statement):
            wanted.pop(dropped[1], None)
        elif RENAMED.match(statement):
            put_back()  # then SQLite puts the new name into them

    def note_renamed(_connection: object, _cursor: object, statement: str, *_rest: Any) -> None:
        if RENAMED.match(statement):
            wanted.update({index.name: index for index in expression_indexes(connection)})

    def put_back() -> None:
        _put_back(connection, list(wanted.values()))

    event.listen(connection, "before_cursor_execute", note)
    event.listen(connection, "after_cursor_execute", note_renamed)
    try:
        with ignore_reflection_warnings():
            yield put_back
    finally:
        event.remove(connection, "before_cursor_execute", note)
        event.remove(connection, "after_cursor_execute", note_renamed)
    put_back()


def _put_back(connection: Connection, wanted: Sequence[ExpressionIndex]) -> None:
    tables = set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")))
    present = {index.name for index in expression_indexes(connection)}
    for index in wanted:
        if index.name not in present and index.table in tables:
            connection.exec_driver_sql(index.sql)


def compare_expression_indexes(
    connection: Connection, tables: Sequence[Table]
) -> tuple[list[ops.MigrateOperation], list[ops.MigrateOperation]]:
    """The operations on indexes that a comparison with SQLite leaves out, and those that undo them."""
    if connection.dialect.name != "sqlite":
        return [], []
    present = {index.name: index for index in expression_indexes(connection)}
    wanted = {str(index.name): index for table in tables for index in table.indexes if _has_expression(index)}
    names = {table.name for table in tables}
    upgrade: list[ops.MigrateOperation] = []
    downgrade: list[ops.MigrateOperation] = []
    for name, made in present.items():
        if name not in wanted and made.table in names:
            upgrade.append(ops.DropIndexOp(name, made.table))
            downgrade.append(ops.ExecuteSQLOp(made.sql))
    for name, index in wanted.items():
        if name not in present:
            upgrade.append(ops.CreateIndexOp.from_index(index))
            downgrade.append(ops.DropIndexOp.from_index(index))
    return upgrade, downgrade


def _has_expression(index: Index) -> bool:
    return any(not isinstance(part, Column) for part in index.expressions)
