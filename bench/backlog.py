"""Empty jobs a second with a backlog, compared with Procrastinate, PgQueuer and Celery.

    .venv/bin/python -m bench.backlog [--rounds 3] [--waiting 10000,100000,1000000] [--workers 1,4,10] [--pooler]
    .venv/bin/python -m bench.backlog --rounds 1 --seconds 6 --waiting 100000 --workers 1,4 --engines ours,PgQueuer

Each engine has a new PostgreSQL database with so many waiting jobs, and Celery an empty Redis. When all workers have
started, they run jobs for some seconds, and the ended ones are counted. All engines run with the settings that their
guides recommend for many short jobs. With `--pooler`, statements go through PgBouncer in transaction mode, without
Celery. Ours must run at least 4,000 jobs a second with a million waiting.
"""

import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from statistics import median
from typing import Any

import psycopg
from redis import Redis

from bench.harness.options import BenchmarkParser, comma_separated_numbers, exit_status
from bench.harness.servers import PROJECT, environment
from opportune.contrib.deploy.rehearsal.pgbouncer import pgbouncer
from opportune.testing.services.postgres import Postgres, postgres_of_run
from opportune.testing.services.redis import PROGRAM, redis

MAX_WAIT_SECONDS = 60.0
"""Seconds until all workers ask for jobs."""
WAITING_WORKERS = """
SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
"""
MIN_RATE = 4_000
MAX_POOLED_CONNECTIONS = 20
database_numbers = count()


@dataclass(frozen=True)
class Engine:
    module: str
    """Module that is run as `python -m MODULE prepare URL JOBS` and `python -m MODULE work URL`."""
    package: str
    ended: str = ""
    """Statement that counts the ended jobs, or the others negatively."""
    is_pending: str = ""
    """Statement that returns whether a job has not ended."""
    table: str = ""

    @property
    def uses_redis(self) -> bool:
        return not self.ended


ENGINES = {
    "ours": Engine(
        "bench.peers.jobs.ours",
        "opportune",
        "SELECT count(*) FROM jobs_job WHERE state = 'done'",
        # Two conditions, each of which has a partial index.
        "SELECT EXISTS (SELECT FROM jobs_job WHERE state = 'waiting')"
        " OR EXISTS (SELECT FROM jobs_job WHERE state = 'running')",
        "jobs_job",
    ),
    "Procrastinate": Engine(
        "bench.peers.jobs.procrastinate_engine",
        "procrastinate",
        "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'",
        "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))",
        "procrastinate_jobs",
    ),
    "PgQueuer": Engine(
        "bench.peers.jobs.pgqueuer_engine",
        "pgqueuer",
        "SELECT -count(*) FROM pgqueuer",
        "SELECT EXISTS (SELECT FROM pgqueuer)",
        "pgqueuer",
    ),
    "Celery": Engine("bench.peers.jobs.celery_engine", "celery"),
}


def main() -> int:
    parser = BenchmarkParser(__doc__, 3)
    parser.add_size("waiting", [10_000, 100_000, 1_000_000], [2_000], type=comma_separated_numbers)
    parser.add_size("workers", [1, 4, 10], [1], type=comma_separated_numbers)
    parser.add_names("--engines", [*ENGINES], default=[*ENGINES])
    parser.add_size("seconds", 6.0, 1.0, type=float, help="of each measurement")
    parser.add_argument("--pooler", action="store_true")
    options = parser.read()
    engines = [
        name
        for name, engine in ENGINES.items()
        if name in options.engines
        and find_spec(engine.package)
        and not (engine.uses_redis and (options.pooler or not PROGRAM))
    ]
    print(f"{'jobs a second':>12} {'waiting':>10} {'workers':>8}" + "".join(f"{name:>16}" for name in engines))
    best = 0.0
    with postgres_of_run() as server:
        for jobs in options.waiting:
            for number in options.workers:
                rates = {name: median(rounds(name, server, jobs, number, options)) for name in engines}
                print(
                    f"{'':12} {jobs:>10,} {number:>8}" + "".join(f"{rates[name]:>16.0f}" for name in engines),
                    flush=True,
                )
                best = max(best, rates.get("ours", 0)) if jobs == max(options.waiting) else 0
    is_slow = 0 < best < MIN_RATE and not options.pooler
    slow = f"Too slow: {best:.0f} jobs a second with {max(options.waiting):,} waiting (at least {MIN_RATE})."
    return exit_status([slow] if is_slow else [], options)


def rounds(name: str, server: Postgres, jobs: int, workers: int, options: Namespace) -> Iterator[float]:
    """Yield the jobs a second of each round, each with a new database."""
    engine = ENGINES[name]
    for _ in range(options.rounds):
        with redis() if engine.uses_redis else new_database(server) as url:
            run(engine, "prepare", url, str(jobs))
            with pgbouncer(url, MAX_POOLED_CONNECTIONS) if options.pooler else nullcontext(url) as used_url:
                yield measure(engine, url, libpq_url(used_url), workers, options.seconds)


def libpq_url(url: str) -> str:
    """Return a URL of SQLAlchemy for the other engines."""
    return url.replace("+psycopg", "").replace(" ", "%20")


@contextmanager
def new_database(server: Postgres) -> Iterator[str]:
    database = f"backlog_{next(database_numbers)}"
    yield server.create_database(database)
    server.drop_database(database)


def run(engine: Engine, *arguments: str) -> None:
    command = [sys.executable, "-m", engine.module, *arguments]
    result = subprocess.run(command, cwd=PROJECT, env=environment(), capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{engine.module} could not {arguments[0]}:\n{result.stderr}")


def measure(engine: Engine, url: str, used_url: str, workers: int, seconds: float) -> float:
    """Return the jobs a second of so many workers, until the time or the jobs are over."""
    with count_redis(url) if engine.uses_redis else count_rows(engine, url) as (count_ended, is_pending):
        before = count_ended()
        with hold_jobs(engine, url, workers) as release, working(engine, used_url, workers):
            release()
            wait_until(lambda: count_ended() != before, engine)
            started_at, first = time.perf_counter(), count_ended()
            while time.perf_counter() - started_at < seconds and is_pending():
                time.sleep(0.01)
            duration, last = time.perf_counter() - started_at, count_ended()
        return (last - first) / duration


@contextmanager
def hold_jobs(engine: Engine, url: str, workers: int) -> Iterator[Callable[[], None]]:
    """Lock the jobs, so that the start of the processes is not measured. Redis has no such lock.

    Yields a function that waits until all workers wait for the lock, and releases it.
    """
    if engine.uses_redis:
        yield lambda: None
        return
    with psycopg.connect(url) as connection, psycopg.connect(url, autocommit=True) as observer:

        def release() -> None:
            wait_until(lambda: read_number(observer, WAITING_WORKERS) >= workers, engine)
            connection.commit()

        connection.execute(f"LOCK TABLE {engine.table}".encode())
        yield release


def wait_until(condition: Callable[[], bool], engine: Engine) -> None:
    deadline = time.perf_counter() + MAX_WAIT_SECONDS
    while not condition():
        if time.perf_counter() > deadline:
            sys.exit(f"{engine.module} ran no job in {MAX_WAIT_SECONDS:.0f} s")
        time.sleep(0.01)


def read_number(connection: psycopg.Connection[Any], statement: str) -> int:
    row = connection.execute(statement.encode()).fetchone()
    assert row
    return int(row[0])


Counters = tuple[Callable[[], int], Callable[[], bool]]


@contextmanager
def count_rows(engine: Engine, url: str) -> Iterator[Counters]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield (
            lambda: read_number(connection, engine.ended),
            lambda: bool(read_number(connection, engine.is_pending)),
        )


@contextmanager
def count_redis(url: str) -> Iterator[Counters]:
    """Count Celery's messages in the queue, and those that workers fetched and have not confirmed."""
    with Redis.from_url(url) as connection:

        def pending() -> int:
            return int(connection.llen("celery")) + int(connection.hlen("unacked"))

        yield lambda: -pending(), lambda: pending() > 0


@contextmanager
def working(engine: Engine, url: str, workers: int) -> Iterator[None]:
    """Run worker processes until the block ends."""
    command = [sys.executable, "-m", engine.module, "work", url]
    processes = [
        subprocess.Popen(
            command,
            cwd=PROJECT,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in range(workers)
    ]
    try:
        yield
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
