"""Read-only SQL for coding agents.

Common table expressions with the names of tables hide secret columns, so that no alias or expression reveals them. This
prevents accidents: an agent that can run programs can also read the database without this tool.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Boolean, Connection, DateTime, Integer, inspect
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.engine.reflection import ObjectKind

from opportune.cli.development.agents.read_only import read
from opportune.config.settings import Settings
from opportune.db.migrations.reflection_warnings import ignore_reflection_warnings
from opportune.db.models.columns import is_secret
from opportune.errors import OperatorError

MAX_ROWS = 200
MAX_CELL_CHARS = 500
MAX_RESULT_CHARS = 20_000
MASK = "(hidden)"
SEALED = "sealed_"
"""Beginning of the names of encrypted columns."""
REFUSED = re.compile(
    r"\b(?:pg_|lo_|dblink|set_config|ts_stat|ts_rewrite|crosstab|sqlite_(?!master\b|schema\b))\w*|\w+_to_xml\w*|U&|/\*",
    re.IGNORECASE,
)
"""Functions that wait, read files or run other SQL, tables with statistics of columns, and hidden names of tables."""


async def run_query(settings: Settings, sql: str, max_rows: int) -> dict[str, Any]:
    """Run a SELECT statement in a read-only transaction, and return its columns and first rows.

    Secret columns are masked.

    Raises:
        OperatorError: The statement is not a single SELECT, could read secrets, or fails. The message is one line.
    """
    sql = sql.strip().rstrip(";").rstrip()
    if not re.match(r"\(*\s*(SELECT|WITH|VALUES)\b", sql, re.IGNORECASE):
        raise OperatorError("Only statements that begin with SELECT, WITH or VALUES can run.")
    if match := REFUSED.search(sql):
        raise OperatorError(f"A statement cannot contain {match[0]}. Use tables and plain functions.")
    limit = max(1, min(max_rows, MAX_ROWS))

    def fetch(connection: Connection) -> dict[str, Any]:
        # The parameter makes psycopg use the protocol of PostgreSQL that allows only one statement.
        result = connection.exec_driver_sql(bounded_statement(connection, sql), (limit + 1,))
        names, rows = list(result.keys()), result.all()
        displayed = list(displayed_rows(rows[:limit]))
        return {"columns": names, "rows": displayed, "has_more_rows": len(displayed) < len(rows)}

    return await read(settings, fetch)


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
    inspector = inspect(connection)
    quote = connection.dialect.identifier_preparer.quote_identifier
    schema = quote(inspector.default_schema_name or "main")
    with ignore_reflection_warnings():
        columns_by_table = inspector.get_multi_columns(kind=ObjectKind.ANY)
    return {
        table: " ".join([quote(table), "AS (SELECT", selected, "FROM", f"{schema}.{quote(table)})"])
        for (_, table), columns in columns_by_table.items()
        if any(map(is_masked, columns))
        for selected in [", ".join(_selected(quote(column["name"]), is_masked(column)) for column in columns)]
    }


def is_masked(column: ReflectedColumn) -> bool:
    """Return whether the name of a column is that of a secret. Numbers, dates and references remain visible."""
    is_named_secret = is_secret(column["name"]) or column["name"].startswith(SEALED)
    return is_named_secret and not isinstance(column["type"], Integer | Boolean | DateTime)


def _selected(column: str, masked: bool) -> str:
    return f"CASE WHEN {column} IS NOT NULL THEN '{MASK}' END AS {column}" if masked else column


def displayed_rows(rows: Sequence[Sequence[Any]]) -> Iterator[list[Any]]:
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
