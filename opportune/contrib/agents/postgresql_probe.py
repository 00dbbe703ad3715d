"""Columns that a statement reads on PostgreSQL, by the dependencies that the server records for a view of it."""

from collections.abc import Mapping
from secrets import token_hex

from sqlalchemy import Connection, text

from opportune.contrib.agents.read_only import TIMEOUT_SECONDS

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
    """
)
"""Columns by table, without numbers, dates and booleans. A reference to a whole row reads all its columns."""


def columns_read(connection: Connection, sql: str, masked: Mapping[str, str]) -> set[tuple[str, str]]:
    """Return table and column of all that a statement reads outside of the masked tables. The caller rolls back.

    Args:
        connection: Connection whose transaction may create temporary views.
        sql: One SELECT statement. The caller has run it as a prepared statement, which cannot be several.
        masked: Statements that replace tables with secrets, by quoted name of the table.
    """
    names = {table: f"masked_{token_hex(8)}" for table in masked}
    probe = f"probe_{token_hex(8)}"
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{TIMEOUT_SECONDS}s'")
    for table, selected in masked.items():
        connection.exec_driver_sql(f"CREATE TEMP VIEW {names[table]} AS {selected}".replace("%", "%%"))
    tables = [" ".join([table, "AS (SELECT * FROM", f"pg_temp.{name})"]) for table, name in names.items()]
    masks = ["WITH", ", ".join(tables)] if tables else []
    parts = ["CREATE TEMP VIEW", probe, "AS", *masks, "SELECT 1 AS one FROM (", "\n", sql, "\n", ") AS statement"]
    statement = " ".join(parts)
    connection.exec_driver_sql(statement.replace("%", "%%"))
    rows = connection.execute(READ_COLUMNS, {"probe": f"pg_temp.{probe}"})
    return {(str(table), str(column)) for table, column in rows}
