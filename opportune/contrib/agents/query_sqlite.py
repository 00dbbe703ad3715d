"""Statements of agents on SQLite, which asks an authorizer for each column that a statement reads."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from time import monotonic
from typing import Any

from opportune.contrib.agents import reading
from opportune.contrib.agents.masks import MaskedTable, with_masks
from opportune.contrib.agents.results import limited_result

MAX_VALUE_BYTES = 1_000_000
"""Maximum size of a value or row while a statement runs, which bounds its memory."""
STEPS_BETWEEN_CHECKS = 10_000
"""Instructions of SQLite between two checks of the time limit."""
ALLOWED_ACTIONS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
SCHEMA_TABLES = {"sqlite_master", "sqlite_schema"}


def query_sqlite(path: Path, tables: Sequence[MaskedTable], sql: str, limit: int) -> dict[str, Any]:
    """Return the result of a statement, in a separate read-only connection.

    Raises:
        OperatorError: SQLite refuses the statement, or it takes too long.
    """
    views = _MaskingViews(tables)
    deadline = monotonic() + reading.TIMEOUT_SECONDS
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            views.create(connection)
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
            connection.set_progress_handler(lambda: monotonic() > deadline, STEPS_BETWEEN_CHECKS)
            connection.set_authorizer(views.authorize)
            cursor = connection.execute(f"{views.mask(sql)} LIMIT ?", (limit + 1,))
            return limited_result([column[0] for column in cursor.description], cursor, limit)
    except (sqlite3.Error, sqlite3.Warning, MemoryError) as error:
        if monotonic() > deadline:
            raise reading.too_slow() from None
        raise reading.refused(error or "it needs too much memory") from None


class _MaskingViews:
    """Views that mask the secrets of tables. Only they may read secrets, and no statement can know their names."""

    def __init__(self, tables: Sequence[MaskedTable]) -> None:
        self._tables = {table.name: table for table in tables}
        self._names = {table.name: f"masked_{token_hex(16)}" for table in tables}

    def create(self, connection: sqlite3.Connection) -> None:
        for name, table in self._tables.items():
            connection.execute(f"CREATE TEMP VIEW {self._names[name]} AS {table.statement}")

    def mask(self, sql: str) -> str:
        """Return a statement that reads the views instead of their tables."""
        masks = {
            table.quoted: f"SELECT * FROM temp.{self._names[name]}"  # noqa: S608 - a random name
            for name, table in self._tables.items()
        }
        return with_masks(masks, sql)

    def authorize(
        self, action: int, table: str | None, column: str | None, _schema: str | None, source: str | None
    ) -> int:
        """Allow to read columns, except statistics of columns, and secrets outside of the views."""
        if action != sqlite3.SQLITE_READ:
            is_allowed = action in ALLOWED_ACTIONS
        else:
            is_allowed = not (self._is_secret(table, column, source) or _is_internal(table or ""))
        return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY

    def _is_secret(self, table: str | None, column: str | None, source: str | None) -> bool:
        """Return whether a column is a secret that `source`, a view or None, may not read."""
        masked = self._tables.get(table or "")
        return masked is not None and column in masked.secrets and source != self._names[masked.name]


def _is_internal(table: str) -> bool:
    return table.lower().startswith("sqlite_") and table.lower() not in SCHEMA_TABLES
