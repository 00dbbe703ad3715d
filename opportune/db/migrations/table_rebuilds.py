"""Preservation of views and triggers when SQLite tables are rebuilt.

Alembic alters a table by copying it, dropping it and renaming the copy. This loses the table's triggers, and renaming
fails if a view or trigger refers to a missing table or column.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event, text

from opportune.db.migrations.duplicates import TABLE_COPY
from opportune.db.migrations.post_migrate import is_derived

COPIES = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name GLOB :copies"
PARTS = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view') ORDER BY type, rowid"
DROPPED = re.compile(r"\s*DROP TABLE\b")
RENAMED = re.compile(rf'\s*ALTER TABLE "?{TABLE_COPY}.* RENAME TO\b', re.DOTALL)


@contextmanager
def preserve_views_and_triggers(connection: Connection) -> Iterator[None]:
    """Drop views and triggers before a table is rebuilt, and create them again afterwards."""
    if connection.dialect.name != "sqlite":
        yield
        return
    removed: list[tuple[str, str]] = []

    def remove(_connection: object, _cursor: object, statement: str, *_rest: Any) -> None:
        if DROPPED.match(statement) and connection.scalar(text(COPIES), {"copies": f"{TABLE_COPY}*"}):
            for type_, name, sql in connection.execute(text(PARTS)).tuples().all():
                if not is_derived(name):
                    removed.append((type_, sql))
                    quoted = connection.dialect.identifier_preparer.quote_identifier(name)
                    connection.exec_driver_sql(f"DROP {type_} {quoted}")

    def create(_connection: object, _cursor: object, statement: str, *_rest: Any) -> None:
        if RENAMED.match(statement):
            for _, sql in sorted(removed, key=lambda part: part[0], reverse=True):  # a view before its triggers
                connection.exec_driver_sql(sql)
            removed.clear()

    event.listen(connection, "before_cursor_execute", remove)
    event.listen(connection, "after_cursor_execute", create)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", remove)
        event.remove(connection, "after_cursor_execute", create)
