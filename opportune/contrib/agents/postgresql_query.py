"""SELECT statements on PostgreSQL, and the columns that they read."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from secrets import token_hex
from typing import Any

from sqlalchemy import Connection, text

from opportune.contrib.agents.masks import is_named_secret, masked_tables, with_masks
from opportune.contrib.agents.read_only import TIMEOUT_SECONDS
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
"""Columns by table, without numbers, dates and booleans. A reference to a whole row reads all its columns.

The server records these dependencies for a view.
"""


def read_rows(connection: Connection, sql: str, limit: int) -> Iterator[Sequence[Any]]:
    """Yield the names of the columns, then up to `limit` rows.

    Raises:
        OperatorError: The statement names a table in a way that would not mask its secrets.
    """
    tables = masked_tables(connection)
    names = "|".join(table.name for table in tables) or "(?!)"  # without tables, nothing matches
    if match := re.search(rf"\.(?:\s|--.*\n)*[\"'`\[]?({names})\b", sql, re.IGNORECASE):
        raise OperatorError(f"Name the table {match[1]} without its schema, so that its secrets are hidden.")
    statement = with_masks({table.quoted: table.statement for table in tables}, sql)
    # The parameter makes psycopg use the protocol of PostgreSQL that allows only one statement.
    result = connection.exec_driver_sql(f"{statement.replace('%', '%%')} LIMIT %s", (limit,))
    return chain([[*result.keys()]], result)


def require_masked(connection: Connection, sql: str) -> None:
    """Let the server resolve the names of a statement, and refuse it if it reads a secret. The caller rolls back.

    Args:
        connection: Connection whose transaction may create temporary views.
        sql: One SELECT statement. The caller has run it as a prepared statement, which cannot be several.
    """
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
