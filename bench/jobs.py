"""Time of empty jobs in one process, costs of idling, and lost jobs after a crash, compared with DBOS.

    .venv/bin/python -m bench.jobs [--rounds 3]

Whole processes, one of each in turn, each on a new database: one job runs, then 1,000 are queued one by one while five
run at a time. Then the process idles, and PostgreSQL counts transactions for ten seconds. Last, processes commit
changes to a SQLite file that each queue a job, and are killed. No job may be missing.
"""

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from statistics import median

from bench.harness.options import BenchmarkParser, exit_status
from opportune.testing.services.postgres import Postgres, postgres_of_run

MAX_SECONDS = 20.0
"""Seconds for a thousand jobs."""
PEERS = {"ours": "bench.peers.jobs.ours", "DBOS": "bench.peers.jobs.dbos_engine"}
STATISTICS_DELAY_SECONDS = 11.0
"""Seconds until an idle connection has reported its statistics to the server."""
KINDS = ("SQLite", "PostgreSQL")
database_numbers = count()


@dataclass(frozen=True)
class Task:
    jobs: int
    idle_seconds: float
    """Time during which transactions are counted."""
    kills: int


@dataclass(frozen=True)
class Figure:
    seconds: float
    megabytes: float
    transactions: int
    """Transactions while idle. 0 on SQLite, which does not count them."""


def main() -> int:
    options = BenchmarkParser(__doc__, 3).read()
    rounds = options.rounds
    task = Task(1000, 10, 20) if options.is_judged else Task(20, 1.5, 1)
    peers = [name for name in PEERS if name == "ours" or find_spec("dbos")]
    print(_line(f"{task.jobs} jobs ({rounds} rounds)", "seconds", "MiB", f"transactions in {task.idle_seconds:.0f} s"))
    failures = list[str]()
    with postgres_of_run() as server, tempfile.TemporaryDirectory() as folder:
        server.connection.execute("ALTER SYSTEM SET autovacuum = off")  # its transactions would also count
        server.connection.execute("SELECT pg_reload_conf()")
        for kind in KINDS if options.is_judged else KINDS[1:]:
            measured = [
                {peer: measure(peer, kind, server, Path(folder), task) for peer in peers} for _ in range(rounds)
            ]
            medians = {peer: _median([results[peer] for results in measured]) for peer in peers}
            for peer, figure in medians.items():
                transactions = str(figure.transactions) if kind == "PostgreSQL" else "-"
                print(_line(f"{kind}, {peer}", f"{figure.seconds:.2f}", f"{figure.megabytes:.0f}", transactions))
            failures += exceeded_limits(kind, medians["ours"])
        lost = {peer: lost_jobs(peer, Path(folder), task.kills) for peer in peers}
    for peer, number in lost.items():
        print(f"{peer}: {number} jobs lost by {task.kills} kills")
    failures += [f"Lost: {lost['ours']} changes without a job."] if lost["ours"] else []
    return exit_status(failures, options)


def exceeded_limits(kind: str, ours: Figure) -> Iterator[str]:
    if ours.seconds > MAX_SECONDS:
        yield f"Too slow: the jobs on {kind} took {ours.seconds:.1f} s (at most {MAX_SECONDS:.0f})."
    if ours.transactions:
        yield f"Too busy: {ours.transactions} transactions while idle."


def measure(peer: str, kind: str, server: Postgres, folder: Path, task: Task) -> Figure:
    name = f"jobs_{next(database_numbers)}"
    url = server.create_database(name) if kind == "PostgreSQL" else f"sqlite:///{folder / name}.db"
    command = [sys.executable, "-m", PEERS[peer], "measure", url, str(task.jobs)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        report = json.loads(process.stdout.readline())
        idle_count = idle_transactions(server, name, task.idle_seconds) if kind == "PostgreSQL" else 0
        process.stdin.close()
    return Figure(report["seconds"], report["megabytes"], idle_count)


def _median(figures: Sequence[Figure]) -> Figure:
    """Return the medians of the rounds, but the most transactions of a round."""
    most_transactions = max(figure.transactions for figure in figures)
    return Figure(
        median(figure.seconds for figure in figures), median(figure.megabytes for figure in figures), most_transactions
    )


def _line(title: str, *cells: str) -> str:
    return f"{title:28}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, (11, 8, 24), strict=True))


def lost_jobs(peer: str, folder: Path, kills: int) -> int:
    """Return the number of changes without their job."""
    file = folder / f"{peer}.db"
    for number in range(kills):
        command = [sys.executable, "-m", PEERS[peer], "commit", f"sqlite:///{file}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            process.stdout.readline()
            time.sleep(0.3 + 0.013 * number)
            process.kill()
    jobs = (file, "jobs_job") if peer == "ours" else (Path(f"{file}.jobs"), "workflow_status")
    return _count_rows(file, "change") - _count_rows(*jobs)


def _count_rows(file: Path, table: str) -> int:
    with closing(sqlite3.connect(file)) as connection:
        (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - constants
        return int(number)


def idle_transactions(server: Postgres, database: str, seconds: float) -> int:
    time.sleep(STATISTICS_DELAY_SECONDS if seconds > STATISTICS_DELAY_SECONDS / 2 else 0)
    before = transactions(server, database)
    time.sleep(seconds)
    return transactions(server, database) - before


def transactions(server: Postgres, database: str) -> int:
    query = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s"
    row = server.connection.execute(query, [database]).fetchone()
    assert row
    return int(str(row[0]))


if __name__ == "__main__":
    sys.exit(main())
