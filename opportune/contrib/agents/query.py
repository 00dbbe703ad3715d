"""Read-only SQL for coding agents.

Secrets are masked, which prevents accidents: an agent that can run programs can also read the database without this
tool.
"""

import asyncio
import re
import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from secrets import token_hex
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from opportune.cli.development.startup import require_file
from opportune.config.settings import Settings
from opportune.contrib.agents.masks import MaskedTable, is_named_secret, masked_tables, with_masks
from opportune.db.factory import open_database
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError

T = TypeVar("T")

TIMEOUT_SECONDS = 15
MAX_ROWS = 200
MAX_CELL_CHARS = 500
MAX_RESULT_CHARS = 20_000
MAX_VALUE_BYTES = 1_000_000
"""Maximum size of a value or row on SQLite while a statement runs, which bounds its memory."""
STEPS_BETWEEN_CHECKS = 10_000
"""Instructions of SQLite between two checks of the time limit."""
ALLOWED_ACTIONS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
SCHEMA_TABLES = {"sqlite_master", "sqlite_schema"}
REFUSED = re.compile(
    r"\b(?:pg_|lo_|dblink|set_config|ts_stat|ts_rewrite|crosstab|sqlite_(?!master\b|schema\b))\w*|\w+_to_xml\w*|U&|/\*"
    r"|--|[^\S\n\t ]|[\x00-\x08\x0e-\x1f]",
    re.IGNORECASE,
)
"""Functions that wait, read files or run other SQL, tables with statistics of columns, and hidden names of tables.

Comments and characters that some databases take for the end of a line are refused, because they can hide names."""
READ_COLUMNS = text(
    """
    SELECT DISTINCT class.relname, attribute.attname
    FROM pg_depend AS depend
    JOIN pg_rewrite AS rule ON rule.oid = depend.objid
    JOIN pg_class AS class ON class.oid = depend.refobjid
    JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid AND attribute.attnum > 0
    JOIN pg_type AS type ON type.oid = attribute.atttypid
    WHERE depend.classid = 'pg_rewrite'::regclass AND depend.refclassid = 'pg_class'::regclass
    AND rule.ev_class = to_regclass(:probe) AND class.relnamespace <> pg_my_temp_schema()
    AND depend.refobjsubid IN (0, attribute.attnum) AND type.typcategory NOT IN ('B', 'D', 'N')
    ORDER BY 1, 2
    """
)
"""Columns by table that a view of PostgreSQL reads, without numbers, dates and booleans.

A reference to a whole row reads all its columns.
"""


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
        return await asyncio.to_thread(_query_sqlite, url.path, tables, sql, limit)
    result = await read(settings, partial(_query_postgresql, sql=sql, limit=limit))
    await require_masked(settings, sql)
    return result


async def read(settings: Settings, work: Callable[[Connection], T]) -> T:
    """Run a function in a read-only transaction of the database, which is rolled back.

    Raises:
        OperatorError: The database is missing, refuses a statement, or takes too long. The message is one line.
    """
    database = open_database(settings)
    require_file(database.url)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS), database.reader() as session:
            connection = await session.connection()
            if connection.dialect.name == "postgresql":
                await connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{TIMEOUT_SECONDS}s'")
            return await connection.run_sync(work)
    except TimeoutError:
        raise OperatorError(f"The statement took more than {TIMEOUT_SECONDS} seconds and was cancelled.") from None
    except DBAPIError as error:
        raise OperatorError(f"The database refuses the statement: {str(error.orig).partition(chr(10))[0]}") from None
    finally:
        await database.dispose()


def _result(rows: Iterator[Sequence[Any]], limit: int) -> dict[str, Any]:
    """Return the names of the columns, which come first, and as many rows as fit into a result."""
    columns, displayed, length = next(rows), list[list[Any]](), 0
    for row in rows:
        values = [_displayed(value) for value in row]
        length += sum(len(str(value)) for value in values)
        if len(displayed) == limit or length > MAX_RESULT_CHARS:
            return {"columns": columns, "rows": displayed, "has_more_rows": True}
        displayed.append(values)
    return {"columns": columns, "rows": displayed, "has_more_rows": False}


def _displayed(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else str(value)[:MAX_CELL_CHARS]


# SQLite asks an authorizer for each column that a statement reads


def _query_sqlite(path: Path, tables: Sequence[MaskedTable], sql: str, limit: int) -> dict[str, Any]:
    with closing(_sqlite_rows(path, tables, sql, limit + 1)) as rows:
        return _result(rows, limit)


def _sqlite_rows(path: Path, tables: Sequence[MaskedTable], sql: str, limit: int) -> Generator[Sequence[object]]:
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

    deadline = monotonic() + TIMEOUT_SECONDS
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
            raise OperatorError(f"The statement took more than {TIMEOUT_SECONDS} seconds and was cancelled.") from None
        raise OperatorError(f"The database refuses the statement: {error or 'it needs too much memory'}") from None


# PostgreSQL records the columns that a view reads


def _query_postgresql(connection: Connection, sql: str, limit: int) -> dict[str, Any]:
    """Return the result of a statement.

    Raises:
        OperatorError: The statement names a table in a way that would not mask its secrets.
    """
    tables = masked_tables(connection)
    names = "|".join(table.name for table in tables) or "(?!)"  # without tables, nothing matches
    if match := re.search(rf"\.(?:\s|--.*\n)*[\"'`\[]?({names})\b", sql, re.IGNORECASE):
        raise OperatorError(f"Name the table {match[1]} without its schema, so that its secrets are hidden.")
    statement = with_masks({table.quoted: table.statement for table in tables}, sql)
    # The parameter makes psycopg use the protocol of PostgreSQL that allows only one statement.
    result = connection.exec_driver_sql(f"{statement.replace('%', '%%')} LIMIT %s", (limit + 1,))
    return _result(chain([[*result.keys()]], result), limit)


async def require_masked(settings: Settings, sql: str) -> None:
    """Refuse a statement that has run on PostgreSQL, as a prepared statement, and reads a secret.

    Raises:
        OperatorError: It reads a secret, or cannot be checked.
    """
    database = open_database(settings)
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(_refuse_secrets, sql)
            await connection.rollback()
    except DBAPIError as error:
        reason = str(error.orig).partition("\n")[0]
        raise OperatorError(f"The columns of the statement cannot be checked, so it has no result: {reason}") from None
    finally:
        await database.dispose()


def _refuse_secrets(connection: Connection, sql: str) -> None:
    """Let the server resolve the names of a statement in a temporary view, and refuse it if it reads a secret."""
    masks, probe = {}, f"probe_{token_hex(8)}"
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{TIMEOUT_SECONDS}s'")
    for table in masked_tables(connection):
        view = f"masked_{token_hex(8)}"
        connection.exec_driver_sql(f"CREATE TEMP VIEW {view} AS {table.statement}".replace("%", "%%"))
        masks[table.quoted] = f"SELECT * FROM pg_temp.{view}"  # noqa: S608 - a random name
    statement = f"CREATE TEMP VIEW {probe} AS {with_masks(masks, sql, '1 AS one')}"
    connection.exec_driver_sql(statement.replace("%", "%%"))
    for table_name, column in connection.execute(READ_COLUMNS, {"probe": f"pg_temp.{probe}"}):
        if is_named_secret(column):
            raise OperatorError(
                f"The statement reads the secret {table_name}.{column}. Name the table without its schema."
            )
