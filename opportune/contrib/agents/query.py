"""Read-only SQL for coding agents.

Common table expressions with the names of tables hide secret columns, so that no alias or expression reveals them. This
prevents accidents: an agent that can run programs can also read the database without this tool.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Boolean, Connection, DateTime, Integer, inspect
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.exc import DBAPIError

from opportune.config.settings import Settings
from opportune.contrib.agents import read_only
from opportune.contrib.agents.postgresql_probe import columns_read
from opportune.contrib.agents.read_only import read
from opportune.contrib.agents.sqlite_query import Query
from opportune.db.factory import open_database
from opportune.db.migrations.reflection_warnings import ignore_reflection_warnings
from opportune.db.models.columns import is_secret
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError

MAX_ROWS = 200
MAX_CELL_CHARS = 500
MAX_RESULT_CHARS = 20_000
MASK = "(hidden)"
SEALED = "sealed_"
"""Beginning of the names of encrypted columns."""
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
        return await _run_on_sqlite(settings, url.path, sql, limit)

    def fetch(connection: Connection) -> dict[str, Any]:
        # The parameter makes psycopg use the protocol of PostgreSQL that allows only one statement.
        result = connection.exec_driver_sql(bounded_statement(connection, sql), (limit + 1,))
        names, rows = list(result.keys()), result.all()
        displayed = list(displayed_rows(rows[:limit]))
        return {"columns": names, "rows": displayed, "has_more_rows": len(displayed) < len(rows)}

    result = await read(settings, fetch)
    await require_masked(settings, sql)
    return result


async def require_masked(settings: Settings, sql: str) -> None:
    """Let PostgreSQL resolve the names of a statement that has run, and refuse it if it reads a secret."""
    database = open_database(settings)
    try:
        async with database.engine.connect() as connection:
            masked = await connection.run_sync(masking_selects)
            columns = await connection.run_sync(columns_read, sql, masked)
            await connection.rollback()
    except DBAPIError as error:
        reason = str(error.orig).partition("\n")[0]
        raise OperatorError(f"The columns of the statement cannot be checked, so it has no result: {reason}") from None
    finally:
        await database.dispose()
    for table, column in sorted(columns):
        if is_secret(column) or column.startswith(SEALED):
            raise OperatorError(f"The statement reads the secret {table}.{column}. Name the table without its schema.")


async def _run_on_sqlite(settings: Settings, path: Path, sql: str, limit: int) -> dict[str, Any]:
    tables = await read(settings, columns_of_masked_tables)
    quoted = {
        table: {name: '"' + name.replace('"', '""') + '"' for name in columns} for table, columns in tables.items()
    }
    secrets = [(table, name) for table, columns in tables.items() for name, masked in columns.items() if masked]
    masks = {
        table: {name: masked_expression(column) if tables[table][name] else column for name, column in columns.items()}
        for table, columns in quoted.items()
    }

    def fetch() -> dict[str, Any]:
        rows = Query(path, masks, secrets, read_only.TIMEOUT_SECONDS).run(sql, limit + 1)
        names = [str(name) for name in next(rows)]
        fetched = counted = 0

        def count() -> Iterator[Sequence[Any]]:
            nonlocal counted
            for row in rows:
                counted += 1
                yield row

        displayed = list(displayed_rows(islice(count(), limit)))
        fetched = counted + (next(rows, None) is not None)
        return {"columns": names, "rows": displayed, "has_more_rows": len(displayed) < fetched}

    return await asyncio.to_thread(fetch)


def columns_of_masked_tables(connection: Connection) -> dict[str, dict[str, bool]]:
    """Return the columns of tables with secrets by table, and whether each is a secret."""
    with ignore_reflection_warnings():
        columns_by_table = inspect(connection).get_multi_columns(kind=ObjectKind.ANY)
    return {
        table: {column["name"]: is_masked(column) for column in columns}
        for (_, table), columns in columns_by_table.items()
        if any(map(is_masked, columns))
    }


def bounded_statement(connection: Connection, sql: str) -> str:
    """Return a statement that selects from the given one, with a parameter for the number of rows.

    As a subquery, it cannot write, be several statements, or change the transaction.

    Raises:
        OperatorError: The statement names a table in a way that would not mask its secrets.
    """
    tables = masked_tables(connection)
    if match := re.search(rf"\.(?:\s|--.*\n)*[\"'`\[]?({'|'.join(tables) or '$.'})\b", sql, re.IGNORECASE):
        raise OperatorError(f"Name the table {match[1]} without its schema, so that its secrets are hidden.")
    masks = ["WITH", ", ".join(tables.values())] if tables else []
    text = " ".join([*masks, "SELECT * FROM (", "\n", sql, "\n", ") AS statement LIMIT "])
    return text.replace("%", "%%") + "%s" if connection.dialect.name == "postgresql" else f"{text}?"


def masked_tables(connection: Connection) -> dict[str, str]:
    """Return a common table expression for each table with secret columns, by table."""
    return {
        table: f"{connection.dialect.identifier_preparer.quote_identifier(table)} AS ({selected})"
        for table, selected in _masking_selects(connection).items()
    }


def masking_selects(connection: Connection) -> dict[str, str]:
    """Return a statement that replaces each table with secrets, by its quoted name."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    return {quote(table): selected for table, selected in _masking_selects(connection).items()}


def _masking_selects(connection: Connection) -> dict[str, str]:
    inspector = inspect(connection)
    quote = connection.dialect.identifier_preparer.quote_identifier
    schema = quote(inspector.default_schema_name or "main")
    with ignore_reflection_warnings():
        columns_by_table = inspector.get_multi_columns(kind=ObjectKind.ANY)
    return {
        table: " ".join(["SELECT", selected, "FROM", f"{schema}.{quote(table)}"])
        for (_, table), columns in columns_by_table.items()
        if any(map(is_masked, columns))
        for selected in [", ".join(_selected(quote(column["name"]), is_masked(column)) for column in columns)]
    }


def is_masked(column: ReflectedColumn) -> bool:
    """Return whether the name of a column is that of a secret. Numbers, dates and references remain visible."""
    is_named_secret = is_secret(column["name"]) or column["name"].startswith(SEALED)
    return is_named_secret and not isinstance(column["type"], Integer | Boolean | DateTime)


def _selected(column: str, masked: bool) -> str:
    return f"{masked_expression(column)} AS {column}" if masked else column


def masked_expression(column: str) -> str:
    return f"CASE WHEN {column} IS NOT NULL THEN '{MASK}' END"


def displayed_rows(rows: Iterable[Sequence[Any]]) -> Iterator[list[Any]]:
    """Yield as many rows as fit into a result."""
    length = 0
    for row in rows:
        values = [displayed_value(value) for value in row]
        length += sum(len(str(value)) for value in values)
        if length > MAX_RESULT_CHARS:
            return
        yield values


def displayed_value(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else str(value)[:MAX_CELL_CHARS]
