"""Slow lists and missing indexes of large tables, and what PostgreSQL's statistics say about them."""

import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Inspector, func, inspect, select, table, text
from sqlalchemy.exc import DBAPIError

from opportune.config.settings import Settings
from opportune.contrib.doctor.examination import Finding, milliseconds_since, notice, ok
from opportune.contrib.doctor.lists import ListStatement, read_lists
from opportune.db.factory import open_database
from opportune.db.queries.row_count import Explain
from opportune.feature import Feature
from opportune.plurals import pluralize

LARGE_TABLE_ROWS = 10_000
SLOW_LIST_MS = 200
STATEMENT_SECONDS = 1.0
LISTS_SECONDS = 4.0
"""Time after which further lists are only explained."""
MAX_FINDINGS = 10
MIN_PLAN_COST = 1_000
"""PostgreSQL's estimate from which a plan needs an index. Reading 50,000 short rows costs as much."""
INSTRUCTIONS_PER_CHECK = 100_000
"""Instructions of SQLite's virtual machine between two checks of the time limit."""
SCAN_IN_SQLITE = r"SCAN {table}( .*)?|SEARCH {table} USING .* \(deleted_at=\?\)"
IS_LIVE = "(deleted_at IS NULL)"
"""Condition of rows that are not in the trash. An index for it does not help, because nearly all rows match."""

LARGE_TABLES = """
SELECT c.relname FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
    AND greatest(c.reltuples, s.n_live_tup) >= :rows
"""
MAX_LINES = 3
"""Maximum lines of each query, the worst first."""
MIN_UNUSED_BYTES = 10_000_000
MIN_USES = 10_000
"""Queries of a table after which its indexes should have been used."""
MIN_SCANS = 100
MIN_CALLS = 10
STATEMENTS = text("""
SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 100) AS query, calls, mean_exec_time AS milliseconds
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND mean_exec_time >= :slow_ms AND calls >= :calls
ORDER BY total_exec_time DESC LIMIT :lines
""")
SCANS = text("""
SELECT relname AS name, seq_scan AS scans, seq_tup_read / seq_scan AS rows FROM pg_stat_user_tables
WHERE schemaname = current_schema() AND n_live_tup >= :large_rows AND seq_scan >= :scans
ORDER BY seq_tup_read DESC LIMIT :lines
""")
UNUSED_INDEXES = text("""
SELECT t.relname AS "table", s.indexrelname AS name, t.uses, pg_relation_size(s.indexrelid) / 1000000 AS megabytes
FROM pg_stat_user_indexes s
JOIN pg_index i USING (indexrelid)
JOIN (SELECT relid, relname, seq_scan + coalesce(idx_scan, 0) AS uses FROM pg_stat_user_tables) t ON t.relid = s.relid
WHERE s.schemaname = current_schema() AND s.idx_scan = 0 AND NOT i.indisunique AND t.uses >= :uses
    AND pg_relation_size(s.indexrelid) >= :unused_bytes
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = i.indrelid AND contype = 'f' AND conkey[1] = i.indkey[0])
ORDER BY pg_relation_size(s.indexrelid) DESC LIMIT :lines
""")


async def examine_growth(settings: Settings, features: Sequence[Feature]) -> list[Finding]:
    """Run and explain the lists of large tables. Return the worst findings, one line each."""
    async with open_database(settings) as database, database.reader(fresh=True) as session:
        connection = await session.connection()
        large = await connection.run_sync(_find_large_tables)
        if not large:
            return [ok("lists", f"no table has {LARGE_TABLE_ROWS:,} rows")]
        statements, faults = await read_lists(settings, database, session, features)
        pages = [page for page in statements if page.table in large]
        findings = await connection.run_sync(_examine, large, pages, features)
        findings += [notice("lists", fault) for fault in faults]
    if (more := len(findings) - MAX_FINDINGS) > 0:
        return [*findings[:MAX_FINDINGS], notice("lists", f"{pluralize(more, 'more finding')}, less important")]
    return findings or [ok("lists", f"{pluralize(len(pages), 'page')} of lists of large tables are fast")]


def _find_large_tables(connection: Connection) -> set[str]:
    if connection.dialect.name == "postgresql":
        return {*connection.scalars(text(LARGE_TABLES), {"rows": LARGE_TABLE_ROWS})}
    return {name for name in inspect(connection).get_table_names() if _is_large(connection, name)}


def foreign_keys_without_index(
    connection: Connection, tables: set[str], features: Sequence[Feature]
) -> Iterator[Finding]:
    """Yield a line for each foreign key of these tables that no index begins with."""
    models = {str(model.__tablename__): model.__name__ for feature in features for model in feature.models}
    inspector = inspect(connection)
    for name in sorted(tables):
        indexed = {*_indexed_columns(inspector, name)}
        for key in inspector.get_foreign_keys(name):
            column = key["constrained_columns"][0]
            if column not in indexed:
                fix = f"run CREATE INDEX ON {name} ({column})"
                if name in models:
                    fix = f"add index=True to {models[name]}.{column}"
                line = f"each deletion in {key['referred_table']} reads all rows of {name}; {fix}"
                yield notice("indexes", line, table=name, column=column)


def _indexed_columns(inspector: Inspector, name: str) -> Iterator[str | None]:
    """Yield the first column of each index. Partial indexes only count if they leave out empty values."""
    yield next(iter(inspector.get_pk_constraint(name)["constrained_columns"]), None)
    yield from (constraint["column_names"][0] for constraint in inspector.get_unique_constraints(name))
    for index in inspector.get_indexes(name):
        options = index.get("dialect_options", {})
        condition = next((str(value) for option, value in options.items() if option.endswith("_where")), "")
        if not condition or "IS NOT NULL" in condition.upper():
            yield index["column_names"][0]


def _is_large(connection: Connection, name: str) -> bool:
    rows = select(text("1")).select_from(table(name)).limit(LARGE_TABLE_ROWS).subquery()
    return connection.scalar(select(func.count()).select_from(rows)) == LARGE_TABLE_ROWS


def _examine(
    connection: Connection, large: set[str], pages: Sequence[ListStatement], features: Sequence[Feature]
) -> list[Finding]:
    """Return the findings, the worst first, and one for each index that several pages need."""
    findings: dict[tuple[str, str], Finding] = {}
    durations = _measure(connection, pages)
    slow = [page for page in durations if durations[page] >= SLOW_LIST_MS]
    for page in sorted(slow, key=durations.__getitem__, reverse=True):
        findings.setdefault(page.remedy, _slow_page(page, durations[page]))
    for page in pages:
        if page.index and page.wants_index and _reads_all_rows(connection, page):
            line = f"{page}: reads all rows of {page.table}; {page.index}"
            findings.setdefault(page.remedy, notice("indexes", line, table=page.table))
    further = [*foreign_keys_without_index(connection, large, features)]
    if connection.dialect.name == "postgresql":
        further += [*_find_slow_statements(connection), *_find_scans(connection), *_find_unused_indexes(connection)]
    if unmeasured := len(pages) - len(durations):
        further.append(
            notice("lists", f"{pluralize(unmeasured, 'page')} of lists could not be run in {LISTS_SECONDS:g} s")
        )
    return [*findings.values(), *further]


def _slow_page(page: ListStatement, milliseconds: float) -> Finding:
    was_interrupted = milliseconds >= STATEMENT_SECONDS * 1000
    duration = f"{'over ' if was_interrupted else ''}{milliseconds:,.0f} ms"
    advice = f"; {page.index}" if page.index else ""
    return notice("lists", f"{page}: {duration}{advice}", table=page.table, milliseconds=milliseconds)


def _measure(connection: Connection, pages: Sequence[ListStatement]) -> dict[ListStatement, float]:
    """Run the pages until the time is over. Return their durations in milliseconds."""
    end = time.monotonic() + LISTS_SECONDS
    durations: dict[ListStatement, float] = {}
    for page in pages:
        if time.monotonic() > end:
            break
        started_at = time.perf_counter()
        try:
            _run(connection, page)
        except DBAPIError:
            if milliseconds_since(started_at) < STATEMENT_SECONDS * 1000:
                continue  # its table lacks a migration, for example, which another check reports
        durations[page] = milliseconds_since(started_at)
    return durations


def _run(connection: Connection, page: ListStatement) -> None:
    deadline = time.monotonic() + STATEMENT_SECONDS
    _interrupt(connection, lambda: time.monotonic() > deadline)
    try:
        with connection.begin_nested() as savepoint:  # PostgreSQL ends the transaction after a timeout
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL statement_timeout = {STATEMENT_SECONDS * 1000:.0f}"))
            connection.execute(page.statement).fetchall()
            savepoint.rollback()
    finally:
        _interrupt(connection, None)


def _interrupt(connection: Connection, is_over: Any) -> None:
    """Let SQLite stop statements when a function returns true. PostgreSQL has a timeout."""
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.dbapi_connection
        driver.run_async(lambda driver: driver.set_progress_handler(is_over, INSTRUCTIONS_PER_CHECK))


def _reads_all_rows(connection: Connection, page: ListStatement) -> bool:
    """Return whether the plan of a list has no index for its filter or order."""
    try:
        with connection.begin_nested():
            rows = connection.execute(Explain(page.statement)).all()
    except DBAPIError:
        return False
    if connection.dialect.name == "postgresql":
        plan = rows[0][0][0]["Plan"]
        return plan["Total Cost"] >= MIN_PLAN_COST and any(_scans(node, page.table) for node in _nodes(plan))
    lines = [row[3] for row in rows]
    is_sorted_in_memory = "USE TEMP B-TREE FOR ORDER BY" in lines
    scans = re.compile(SCAN_IN_SQLITE.format(table=re.escape(page.table)))
    return any(map(scans.fullmatch, lines)) and (is_sorted_in_memory or not page.is_sorted)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _scans(node: dict[str, Any], table_name: str) -> bool:
    """Return whether a node reads a table, or an index for its order, and discards what does not match."""
    if node.get("Relation Name") != table_name:
        return False
    has_index = node.get("Index Cond", node.get("Recheck Cond", IS_LIVE)) != IS_LIVE
    return node["Node Type"] == "Seq Scan" or ("Filter" in node and not has_index)


def _find_slow_statements(connection: Connection) -> Iterator[Finding]:
    try:
        with connection.begin_nested():
            limits = {"slow_ms": SLOW_LIST_MS, "calls": MIN_CALLS, "lines": MAX_LINES}
            rows = connection.execute(STATEMENTS, limits).all()
    except DBAPIError:  # pg_stat_statements is not installed, or this user may not read it
        return
    for row in rows:
        line = f"{row.milliseconds:,.0f} ms on average in {row.calls:,} calls: {row.query}"
        yield notice("statements", line, milliseconds=round(row.milliseconds, 1), calls=row.calls)


def _find_scans(connection: Connection) -> Iterator[Finding]:
    limits = {"large_rows": LARGE_TABLE_ROWS, "scans": MIN_SCANS, "lines": MAX_LINES}
    for row in connection.execute(SCANS, limits):
        line = f"{row.scans:,} queries have read {row.name} without an index, {row.rows:,} rows each"
        yield notice("scans", line, table=row.name, scans=row.scans)


def _find_unused_indexes(connection: Connection) -> Iterator[Finding]:
    limits = {"unused_bytes": MIN_UNUSED_BYTES, "uses": MIN_USES, "lines": MAX_LINES}
    for row in connection.execute(UNUSED_INDEXES, limits):
        line = f"none of {row.uses:,} queries of {row.table} has used {row.name}, which takes {row.megabytes:,} MB"
        yield notice("indexes", line, table=row.table, index=row.name)
