"""SELECT statements on SQLite, which asks an authorizer for each column that a statement reads."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from time import monotonic

from opportune.errors import OperatorError

MAX_VALUE_BYTES = 1_000_000
"""Maximum size of a value or row while a statement runs, which bounds its memory."""
STEPS_BETWEEN_CHECKS = 10_000
"""Instructions of SQLite between two checks of the time limit."""
ALLOWED_ACTIONS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
SCHEMA_TABLES = {"sqlite_master", "sqlite_schema"}

Masks = Mapping[str, Mapping[str, str]]
"""Expressions that replace the columns of tables with secrets, by table and column."""


class Query:
    """A statement in a separate read-only connection."""

    def __init__(self, path: Path, masks: Masks, secrets: Iterable[tuple[str, str]], seconds: float) -> None:
        self._path, self._masks, self._secrets = path, masks, {*secrets}
        self._seconds = seconds
        # Only views with these names may read secrets, and no statement can know the names.
        self._views = {table: f"masked_{token_hex(16)}" for table in masks}

    def run(self, sql: str, limit: int) -> Iterator[tuple[object, ...]]:
        """Yield the names of the columns, then up to `limit` rows.

        Raises:
            OperatorError: SQLite refuses the statement, or it takes too long.
        """
        deadline = monotonic() + self._seconds
        try:
            with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)) as connection:
                self._create_views(connection)
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
                connection.set_progress_handler(lambda: monotonic() > deadline, STEPS_BETWEEN_CHECKS)
                connection.set_authorizer(self._authorize)
                cursor = connection.execute(self._with_views(sql), (limit,))
                yield tuple(column[0] for column in cursor.description)
                yield from cursor
        except (sqlite3.Error, sqlite3.Warning, MemoryError) as error:
            if monotonic() > deadline:
                message = f"The statement took more than {self._seconds} seconds and was cancelled."
                raise OperatorError(message) from None
            raise OperatorError(f"The database refuses the statement: {error or 'it needs too much memory'}") from None

    def _create_views(self, connection: sqlite3.Connection) -> None:
        for table, columns in self._masks.items():
            selected = ", ".join(f"{expression} AS {_quote(name)}" for name, expression in columns.items())
            view = ["CREATE TEMP VIEW", self._views[table], "AS SELECT", selected, "FROM", f"main.{_quote(table)}"]
            connection.execute(" ".join(view))

    def _with_views(self, sql: str) -> str:
        tables = [
            " ".join([_quote(table), "AS (SELECT * FROM", f"temp.{view})"]) for table, view in self._views.items()
        ]
        masks = ["WITH", ", ".join(tables)] if tables else []
        return " ".join([*masks, "SELECT * FROM (", "\n", sql, "\n", ") AS statement LIMIT ?"])

    def _authorize(
        self, action: int, table: str | None, column: str | None, _schema: str | None, source: str | None
    ) -> int:
        """Allow to read columns, except secrets outside of the views that mask them, and statistics of columns."""
        if action != sqlite3.SQLITE_READ:
            return sqlite3.SQLITE_OK if action in ALLOWED_ACTIONS else sqlite3.SQLITE_DENY
        table = table or ""
        is_masked = (table, column or "") not in self._secrets or source == self._views[table]
        is_internal = table.lower().startswith("sqlite_") and table.lower() not in SCHEMA_TABLES
        return sqlite3.SQLITE_OK if is_masked and not is_internal else sqlite3.SQLITE_DENY


def _quote(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
