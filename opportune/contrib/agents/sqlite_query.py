"""SELECT statements on SQLite, which asks an authorizer for each column that a statement reads."""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from time import monotonic

from opportune.contrib.agents.masks import MaskedTable, with_masks
from opportune.errors import OperatorError

MAX_VALUE_BYTES = 1_000_000
"""Maximum size of a value or row while a statement runs, which bounds its memory."""
STEPS_BETWEEN_CHECKS = 10_000
"""Instructions of SQLite between two checks of the time limit."""
ALLOWED_ACTIONS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
SCHEMA_TABLES = {"sqlite_master", "sqlite_schema"}


def read_rows(
    path: Path, tables: Sequence[MaskedTable], sql: str, limit: int, seconds: float
) -> Generator[Sequence[object]]:
    """Yield the names of the columns, then up to `limit` rows, in a separate read-only connection.

    Raises:
        OperatorError: SQLite refuses the statement, or it takes too long.
    """
    # Only views with these names may read secrets, and no statement can know the names.
    views = {table.name: f"masked_{token_hex(16)}" for table in tables}
    secrets = {table.name: table.secrets for table in tables}
    masks = {table.quoted: f"SELECT * FROM temp.{views[table.name]}" for table in tables}  # noqa: S608 - a random name

    def authorize(action: int, table: str | None, column: str | None, _schema: str | None, source: str | None) -> int:
        """Allow to read columns, except secrets outside of the views that mask them, and statistics of columns."""
        if action != sqlite3.SQLITE_READ:
            return sqlite3.SQLITE_OK if action in ALLOWED_ACTIONS else sqlite3.SQLITE_DENY
        name = table or ""
        is_hidden = column in secrets.get(name, ()) and source != views[name]
        is_internal = name.lower().startswith("sqlite_") and name.lower() not in SCHEMA_TABLES
        return sqlite3.SQLITE_DENY if is_hidden or is_internal else sqlite3.SQLITE_OK

    deadline = monotonic() + seconds
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            for table in tables:
                connection.execute(f"CREATE TEMP VIEW {views[table.name]} AS {table.statement}")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
            connection.set_progress_handler(lambda: monotonic() > deadline, STEPS_BETWEEN_CHECKS)
            connection.set_authorizer(authorize)
            cursor = connection.execute(f"{with_masks(masks, sql)} LIMIT ?", (limit,))
            yield [column[0] for column in cursor.description]
            yield from cursor
    except (sqlite3.Error, sqlite3.Warning, MemoryError) as error:
        if monotonic() > deadline:
            raise OperatorError(f"The statement took more than {seconds} seconds and was cancelled.") from None
        raise OperatorError(f"The database refuses the statement: {error or 'it needs too much memory'}") from None
