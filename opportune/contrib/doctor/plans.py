"""Large tables, and the run and plan of statements, on SQLite and on PostgreSQL."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, func, inspect, select, table, text
from sqlalchemy.exc import DBAPIError

from opportune.contrib.doctor.examination import Finding
from opportune.contrib.doctor.lists import ListStatement
from opportune.contrib.doctor.statistics import LARGE_TABLE_ROWS, read_statistics
from opportune.contrib.statement_limits import time_limit_within
from opportune.db.queries.row_count import Explain

MIN_PLAN_COST = 1_000
"""PostgreSQL's estimate from which a plan needs an index. Reading 50,000 short rows costs as much."""
SCAN_IN_SQLITE = r"SCAN {table}( .*)?|SEARCH {table} USING .* \(deleted_at=\?\)"
IS_LIVE = "(deleted_at IS NULL)"
"""Condition of rows that are not in the trash. An index for it does not help, because nearly all rows match."""
LARGE_TABLES = """
SELECT c.relname FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
    AND greatest(c.reltuples, s.n_live_tup) >= :rows
"""


class Planner(ABC):
    """Access to the plans of one database system."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @abstractmethod
    def find_large_tables(self) -> set[str]:
        """Return the names of the tables with LARGE_TABLE_ROWS or more."""

    def run(self, page: ListStatement, seconds: float) -> None:
        """Run a list, and discard its rows.

        Raises:
            DBAPIError: The list failed, or took longer than `seconds`.
        """
        with self.connection.begin_nested() as savepoint:  # PostgreSQL ends the transaction after a timeout
            with time_limit_within(self.connection, seconds):
                self.connection.execute(page.statement).fetchall()
            savepoint.rollback()

    def reads_all_rows(self, page: ListStatement) -> bool:
        """Return whether the plan of a list has no index for its filter or order."""
        try:
            with self.connection.begin_nested():
                rows = self.connection.execute(Explain(page.statement)).all()
        except DBAPIError:
            return False
        return self._is_scan(rows, page)

    def read_statistics(self) -> Iterator[Finding]:
        """Yield the findings of the database's own statistics. SQLite keeps none."""
        return iter(())

    @abstractmethod
    def _is_scan(self, rows: Sequence[Any], page: ListStatement) -> bool:
        """Return whether the rows of EXPLAIN show that no index is used."""


class SQLitePlanner(Planner):
    def find_large_tables(self) -> set[str]:
        return {*filter(self._is_large, inspect(self.connection).get_table_names())}

    def _is_large(self, name: str) -> bool:
        rows = select(text("1")).select_from(table(name)).limit(LARGE_TABLE_ROWS).subquery()
        return self.connection.scalar(select(func.count()).select_from(rows)) == LARGE_TABLE_ROWS

    def _is_scan(self, rows: Sequence[Any], page: ListStatement) -> bool:
        lines = [row[3] for row in rows]
        is_sorted_in_memory = "USE TEMP B-TREE FOR ORDER BY" in lines
        scans = re.compile(SCAN_IN_SQLITE.format(table=re.escape(page.table)))
        return any(map(scans.fullmatch, lines)) and (is_sorted_in_memory or not page.is_sorted)


class PostgreSQLPlanner(Planner):
    def find_large_tables(self) -> set[str]:
        return {*self.connection.scalars(text(LARGE_TABLES), {"rows": LARGE_TABLE_ROWS})}

    def read_statistics(self) -> Iterator[Finding]:
        return read_statistics(self.connection)

    def _is_scan(self, rows: Sequence[Any], page: ListStatement) -> bool:
        plan = rows[0][0][0]["Plan"]
        return plan["Total Cost"] >= MIN_PLAN_COST and any(_scans(node, page.table) for node in _nodes(plan))


def planner_of(connection: Connection) -> Planner:
    is_postgresql = connection.dialect.name == "postgresql"
    return PostgreSQLPlanner(connection) if is_postgresql else SQLitePlanner(connection)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _scans(node: dict[str, Any], table_name: str) -> bool:
    """Return whether a node reads a table, or an index for its order, and discards what does not match."""
    if node.get("Relation Name") != table_name:
        return False
    conditions = {node.get("Index Cond", IS_LIVE), node.get("Recheck Cond", IS_LIVE)}
    return node["Node Type"] == "Seq Scan" or ("Filter" in node and conditions == {IS_LIVE})
