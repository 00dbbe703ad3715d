"""Read-only SQL for coding agents.

Secrets are masked, which prevents accidents: an agent that can run programs can also read the database without this
tool.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from opportune.config.settings import Settings
from opportune.contrib.agents import postgresql_query, read_only, sqlite_query
from opportune.contrib.agents.masks import MaskedTable, masked_tables
from opportune.contrib.agents.read_only import read
from opportune.db.factory import open_database
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError

MAX_ROWS = 200
MAX_CELL_CHARS = 500
MAX_RESULT_CHARS = 20_000
REFUSED = re.compile(
    r"\b(?:pg_|lo_|dblink|set_config|ts_stat|ts_rewrite|crosstab|sqlite_(?!master\b|schema\b))\w*|\w+_to_xml\w*|U&|/\*"
    r"|--|[^\S\n\t ]|[\x00-\x08\x0e-\x1f]",
    re.IGNORECASE,
)
"""Functions that wait, read files or run other SQL, tables with statistics of columns, and hidden names of tables.

Comments and characters that some databases take for the end of a line are refused, because they can hide names."""


async def run_query(settings: Settings, sql: str, max_rows: int) -> dict[str, Any]:
    """Run a SELECT statement in a read-only transaction, and return its columns and first rows.

    Secret columns are masked.

    Raises:
        OperatorError: The statement is not a single SELECT, could read secrets, or fails. The message is one line.
    """
    sql = sql.replace("\r\n", "\n").strip().rstrip(";").rstrip()
    if not re.match(r"\(*\s*(SELECT|WITH|VALUES)\b", sql, re.IGNORECASE):
        raise OperatorError("Only statements that begin with SELECT, WITH or VALUES can run.")
    if match := REFUSED.search(sql):
        name = match[0] if match[0].isprintable() and match[0].strip() else repr(match[0])
        raise OperatorError(f"A statement cannot contain {name}. Use tables and plain functions, without comments.")
    limit = max(1, min(max_rows, MAX_ROWS))
    url = DatabaseUrl.parse(settings.database_url.get_secret_value())
    if url.kind == "sqlite":
        tables = await read(settings, masked_tables)
        return await asyncio.to_thread(_fetch_from_file, url.path, tables, sql, limit)
    result = await read(settings, partial(_fetch, sql=sql, limit=limit))
    await require_masked(settings, sql)
    return result


def _fetch_from_file(path: Path, tables: Sequence[MaskedTable], sql: str, limit: int) -> dict[str, Any]:
    # SQLite's connections must be closed in the thread that opens them.
    with closing(sqlite_query.read_rows(path, tables, sql, limit + 1, read_only.TIMEOUT_SECONDS)) as rows:
        return _result(rows, limit)


def _fetch(connection: Connection, sql: str, limit: int) -> dict[str, Any]:
    return _result(postgresql_query.read_rows(connection, sql, limit + 1), limit)


async def require_masked(settings: Settings, sql: str) -> None:
    """Refuse a statement that has run on PostgreSQL and reads a secret.

    Raises:
        OperatorError: It reads a secret, or cannot be checked.
    """
    database = open_database(settings)
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(postgresql_query.require_masked, sql)
            await connection.rollback()
    except DBAPIError as error:
        reason = str(error.orig).partition("\n")[0]
        raise OperatorError(f"The columns of the statement cannot be checked, so it has no result: {reason}") from None
    finally:
        await database.dispose()


def _result(rows: Iterator[Sequence[Any]], limit: int) -> dict[str, Any]:
    """Return the names of the columns, which come first, and as many rows as fit into a result."""
    columns, displayed, length = next(rows), list[list[Any]](), 0
    for row in rows:
        values = [displayed_value(value) for value in row]
        length += sum(len(str(value)) for value in values)
        if len(displayed) == limit or length > MAX_RESULT_CHARS:
            return {"columns": columns, "rows": displayed, "has_more_rows": True}
        displayed.append(values)
    return {"columns": columns, "rows": displayed, "has_more_rows": False}


def displayed_value(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else str(value)[:MAX_CELL_CHARS]
