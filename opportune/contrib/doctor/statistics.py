"""PostgreSQL's statistics: slow statements, tables read without an index, and unused indexes."""

from collections.abc import Iterator

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from opportune.contrib.doctor.examination import Finding, notice

LARGE_TABLE_ROWS = 10_000
SLOW_MS = 200
"""Duration from which a list or a statement is slow."""
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


def read_statistics(connection: Connection) -> Iterator[Finding]:
    yield from _find_slow_statements(connection)
    yield from _find_scans(connection)
    yield from _find_unused_indexes(connection)


def _find_slow_statements(connection: Connection) -> Iterator[Finding]:
    try:
        with connection.begin_nested():
            limits = {"slow_ms": SLOW_MS, "calls": MIN_CALLS, "lines": MAX_LINES}
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
