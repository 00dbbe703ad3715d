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
from opportune.db.models.search_index import TRIGRAMS_PREFIX

COUNT_OF_COPIES = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name GLOB :copies"
VIEWS_AND_TRIGGERS = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view') ORDER BY type, rowid"
DROPPED = re.compile(r"\s*DROP TABLE\b")
RENAMED = re.compile(rf'\s*ALTER TABLE "?{TABLE_COPY}.* RENAME TO\b', re.DOTALL)


@contextmanager
def preserve_views_and_triggers(connection: Connection) -> Iterator[None]:
    """Drop views and triggers before a table is rebuilt, and create them again afterwards."""
    if connection.dialect.name != "sqlite":
        yield
        return
    dropped: list[tuple[str, str]] = []

    def drop_views_and_triggers(_connection: object, _cursor: object, statement: str, *_rest: Any) -> None:
        if DROPPED.match(statement) and connection.scalar(text(COUNT_OF_COPIES), {"copies": f"{TABLE_COPY}*"}):
            for type_, name, sql in connection.execute(text(VIEWS_AND_TRIGGERS)).all():
                if not is_derived(name) or name.startswith(TRIGRAMS_PREFIX):
                    dropped.append((type_, sql))
                    quoted = connection.dialect.identifier_preparer.quote_identifier(name)
                    connection.exec_driver_sql(f"DROP {type_} {quoted}")

    def recreate_views_and_triggers(_connection: object, _cursor: object, statement: str, *_rest: Any) -> None:
        if RENAMED.match(statement):
            for _, sql in sorted(dropped, key=lambda part: part[0], reverse=True):  # a view before its triggers
                connection.exec_driver_sql(sql)
            dropped.clear()

    event.listen(connection, "before_cursor_execute", drop_views_and_triggers)
    event.listen(connection, "after_cursor_execute", recreate_views_and_triggers)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", drop_views_and_triggers)
        event.remove(connection, "after_cursor_execute", recreate_views_and_triggers)
