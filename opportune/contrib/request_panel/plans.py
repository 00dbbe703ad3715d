"""Plans of recorded queries."""

from collections.abc import Sequence
from typing import Any

from opportune.contrib.request_panel.records import Statement
from opportune.db.database import Database

EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}


async def query_plan(database: Database, statement: Statement) -> list[str]:
    """Return the plan of a query, without running it."""
    async with database.reader() as session:
        connection = await session.connection()
        dialect = connection.dialect.name
        result = await connection.exec_driver_sql(f"{EXPLAIN[dialect]} {statement.original}", statement.parameters)
        rows = result.all()
    return _sqlite_plan(rows) if dialect == "sqlite" else [row[0] for row in rows]


def _sqlite_plan(rows: Sequence[Any]) -> list[str]:
    """Return the lines of a plan of SQLite. Its rows are id, id of the parent, unused, and text."""
    depths = {0: -1}
    lines = []
    for step_id, parent_id, _unused, text in rows:
        depths[step_id] = depths.get(parent_id, -1) + 1
        lines.append("  " * depths[step_id] + text)
    return lines
