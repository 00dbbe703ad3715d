"""Statements of agents on PostgreSQL, which records the columns that a view reads."""

import re
from secrets import token_hex
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from opportune.config.settings import Settings
from opportune.contrib.agents import reading
from opportune.contrib.agents.masks import MaskedTable, is_named_secret, masked_tables, with_masks
from opportune.contrib.agents.results import limited_result
from opportune.db.factory import open_database
from opportune.errors import OperatorError

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


def query_postgresql(connection: Connection, sql: str, limit: int) -> dict[str, Any]:
    """Return the result of a statement. Call `require_masked` before you use it.

    Raises:
        OperatorError: The statement names a table in a way that would not mask its secrets.
    """
    tables = masked_tables(connection)
    _require_plain_names(sql, tables)
    statement = with_masks({table.quoted: table.statement for table in tables}, sql)
    # The parameter makes psycopg use the protocol of PostgreSQL that allows only one statement.
    result = connection.exec_driver_sql(f"{statement.replace('%', '%%')} LIMIT %s", (limit + 1,))
    return limited_result([*result.keys()], result, limit)


def _require_plain_names(sql: str, tables: list[MaskedTable]) -> None:
    for table in tables:
        name = table.quoted[1:-1]
        if re.search(rf"\.\s*[\"'`\[]?{re.escape(name)}(?!\w)", sql, re.IGNORECASE):
            raise OperatorError(f"Name the table {name} without its schema, so that its secrets are hidden.")


async def require_masked(settings: Settings, sql: str) -> None:
    """Refuse a statement that has run, as a prepared statement, and reads a secret.

    Raises:
        OperatorError: It reads a secret, or cannot be checked.
    """
    database = open_database(settings)
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(_refuse_secrets, sql)
            await connection.rollback()
    except DBAPIError as error:
        reason = reading.first_line(error.orig)
        raise OperatorError(f"The columns of the statement cannot be checked, so it has no result: {reason}") from None
    finally:
        await database.dispose()


def _refuse_secrets(connection: Connection, sql: str) -> None:
    """Let the server resolve the names of a statement in a temporary view, and refuse it if it reads a secret."""
    masks: dict[str, str] = {}
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{reading.TIMEOUT_SECONDS}s'")
    for table in masked_tables(connection):
        view = f"masked_{token_hex(8)}"
        connection.exec_driver_sql(f"CREATE TEMP VIEW {view} AS {table.statement}".replace("%", "%%"))
        masks[table.quoted] = f"SELECT * FROM pg_temp.{view}"  # noqa: S608 - a random name
    probe = f"probe_{token_hex(8)}"
    statement = f"CREATE TEMP VIEW {probe} AS {with_masks(masks, sql, '1 AS one')}"
    connection.exec_driver_sql(statement.replace("%", "%%"))
    for table_name, column in connection.execute(READ_COLUMNS, {"probe": f"pg_temp.{probe}"}):
        if is_named_secret(table_name, column):
            raise OperatorError(
                f"The statement reads the secret {table_name}.{column}. Name the table without its schema."
            )
