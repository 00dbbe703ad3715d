"""Rows per second that `copydb` copies between local databases, and its memory.

    .venv/bin/python -m bench.copydb [--rounds 3] [--rows 1000000]

Whole processes, one per copy, on the interpreter that runs this file. The time includes the comparison of both sides.
The source is a SQLite file with sessions of one user, in a table with three indexes. With fewer than three rounds
it copies few rows and judges nothing.
"""

import json
import sqlite3
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.harness.databases import migrate
from bench.harness.options import BenchmarkParser
from bench.harness.servers import PROJECT, environment, run
from opportune.testing.services.postgres import postgres_of_run

FEW_ROWS = 200
TEST_COPIES = ("SQLite to PostgreSQL", "PostgreSQL to SQLite")
MIN_ROWS_PER_SECOND = 50_000
MAX_MEMORY_RATIO = 1.2
"""Maximum growth of peak memory from a tenth of the rows to all rows."""

COPY = """
import json, resource, sys, time
from opportune.contrib.copydb.copy import copy
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.url.database_url import DatabaseUrl
from opportune.project.installed import installed_names

figures = []
for source, target in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
    started = time.perf_counter()
    reports = copy(DatabaseUrl.parse(source), DatabaseUrl.parse(target), MigrationGraph(installed_names()))
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures.append([sum(report.rows for report in reports) / seconds, peak])
print(json.dumps(figures))
"""
USER = """
    INSERT INTO accounts_user (id, email, display_name, avatar, hashed_password, is_active, is_staff, is_superuser,
        is_verified, totp_secret, totp_step, created_at)
    VALUES (1, 'a@example.com', '', '', 'x', true, false, false, true, '', 0, '2026-11-20 10:11:12.000034')
"""
SESSIONS = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)
    INSERT INTO accounts_session (id, token_hash, user_id, created_at, seen_at, expires_at, is_remembered,
        address, agent)
    SELECT n, printf('%064x', n), 1, '2026-11-20 10:11:12.000034', '2026-11-20 10:11:12.000000',
        '2026-12-20 10:11:12.000000', false, '127.0.0.1', 'Browser'
    FROM numbers
"""


class Figure(NamedTuple):
    rows_per_second: float
    peak_kib: float
    """Peak memory of the process in KiB."""


def main() -> int:
    parser = BenchmarkParser(__doc__, 3)
    parser.add_size("rows", 1_000_000, FEW_ROWS)
    options = parser.read()
    with tempfile.TemporaryDirectory(prefix="opportune-bench-") as folder:
        results = measure(Path(folder), options)
    print(f"{options.rows:,} rows, {options.rounds} rounds{'':19}median    limit")
    for name, figure in results.items():
        print(f"{name:32}{figure.rows_per_second:10,.0f} rows/s   peak {figure.peak_kib / 1024:.0f} MiB")
    if not options.is_judged:
        return 0
    small, all_rows = (results[f"SQLite to SQLite, {part}"] for part in ("a tenth", "all"))
    growth = all_rows.peak_kib / small.peak_kib
    print(f"{'memory, all rows to a tenth':32}{growth:10.2f} x   {MAX_MEMORY_RATIO:.2f} x at most")
    return int(all_rows.rows_per_second < MIN_ROWS_PER_SECOND or growth > MAX_MEMORY_RATIO)


def measure(folder: Path, options: Namespace) -> dict[str, Figure]:
    """Return the medians for each type of copy."""
    small = create_source(folder / "few.db", options.rows // 10)
    source = create_source(folder / "all.db", options.rows)
    results: dict[str, list[Figure]] = {}
    with postgres_of_run() as server:
        for number in range(options.rounds):
            postgres_copy, second_copy = (server.create_database(f"bench_{number}_{part}") for part in (1, 2))
            copies = {
                "SQLite to SQLite, a tenth": (small, f"sqlite:///{folder}/few-{number}.db"),
                "SQLite to SQLite, all": (source, f"sqlite:///{folder}/all-{number}.db"),
                "SQLite to PostgreSQL": (source, postgres_copy),
                "PostgreSQL to PostgreSQL": (postgres_copy, second_copy),
                "PostgreSQL to SQLite": (postgres_copy, f"sqlite:///{folder}/back-{number}.db"),
            }
            if not options.is_judged:
                copies = {name: copies[name] for name in TEST_COPIES}
            for name, figure in zip(copies, run_copies([*copies.values()], options.is_judged), strict=True):
                results.setdefault(name, []).append(figure)
            for path in folder.glob(f"*-{number}.db"):
                path.unlink()
            for part in (1, 2):
                server.drop_database(f"bench_{number}_{part}")
    return {
        name: Figure(*(median(column) for column in zip(*figures, strict=True))) for name, figures in results.items()
    }


def create_source(path: Path, rows: int) -> str:
    """Create a migrated SQLite file with this many sessions."""
    url = f"sqlite:///{path}"
    migrate(url)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(USER)
        connection.execute(SESSIONS, {"rows": rows})
    return url


def run_copies(urls: Sequence[tuple[str, str]], is_judged: bool) -> list[Figure]:
    """Copy in a process each, which has its own peak of memory. Tests of the benchmark share one process."""
    if is_judged and len(urls) > 1:
        return [figure for pair in urls for figure in run_copies([pair], is_judged)]
    output = run(["-c", COPY, *(url for pair in urls for url in pair)], environment(PYTHONPATH=str(PROJECT)))
    return [Figure(*figures) for figures in json.loads(output)]


if __name__ == "__main__":
    sys.exit(main())
