"""Requests per second of 1 to 10 web processes on one PostgreSQL, with growing tables.

    .venv/bin/python -m bench.many [--rounds 3] [--processes 1,2,4,10] [--rows 1000,100000,1000000]

Each process is a whole server, as on a machine of its own. All share the processors of this machine, so the rate stops
growing when they are busy. The two columns of processor time show where the limit is on more machines: a database of
one core serves as many web cores as the time of the web processes is longer than that of the database. Django with the
same rows is measured with one process, and queues jobs with Celery in Redis. Nothing is judged.
"""

import os
import sys
import tempfile
from argparse import Namespace
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psycopg

from bench.harness.load import Request, WrongResponseError, drive
from bench.harness.options import BenchmarkParser, comma_separated_numbers
from bench.harness.servers import PEERS, Server, environment, run, serve
from bench.harness.tasks import ADDITIONAL_ROWS_VARIABLE, make_requests, page_request
from opportune.testing.services.postgres import Postgres, postgres_of_run
from opportune.testing.services.redis import redis

FIRST_ROWS = 1_000
"""Rows that the peer creates itself. The server copies them until the table is large enough."""
COPY_ROWS = """
INSERT INTO {table} (title, note, done, created_at)
SELECT 'Entry ' || n, 'Note ' || n % 97, n % 3 = 0, now() - n * interval '1 second' FROM generate_series(1, {count}) n
"""
MAX_CONNECTIONS = 4
"""Concurrent requests of each process. The smallest pool has more, so no request opens a database connection."""
SITE_REQUESTS = 400
"""Requests of a round. The admin is slower, so its rounds have fewer."""
ADMIN_REQUESTS = 80
TEST_REQUESTS = 4
"""Requests of a round that only shows that the benchmark works."""
WARM_UP_REQUESTS = 20
UNLIMITED = {"JOBS": "off", "LLM_MAX_PARALLEL": "1000", "LLM_MAX_TOKENS_PER_VISITOR_PER_DAY": "0"}
TABLES = {"ours": "bench_item", "django": "django_site_item"}
ADMIN_LISTS = {"ours": "/admin/item/list", "django": "/admin/django_site/item/"}
ADMIN_QUERIES = {
    "admin list": {"ours": "", "django": ""},
    "admin search": {"ours": "?search=note+77", "django": "?q=note+77"},
}
SITE_PAGES = {
    "signed-in page": "signed_in_page",
    "list of 20 rows": "crud_page",
    "committed insert": "crud_insert",
    "insert with a job": "insert_with_job",
    "chat answer": "answer",
}
DJANGO_PAGES = ("admin list", "admin search", "signed-in page", "committed insert", "insert with a job")


@dataclass(frozen=True)
class Figure:
    rate: float
    """Requests per second."""
    web_ms: float
    """Processor time of the web processes for each request."""
    database_ms: float


@dataclass(frozen=True)
class Machines:
    """Web processes, and the database server that they share."""

    servers: Sequence[Server]
    database: Server
    requests: Mapping[str, Request]

    def measure(self, title: str, count: int) -> Figure:
        part = max(count // len(self.servers), 1)
        before = self._cpu_seconds()
        with ThreadPoolExecutor(len(self.servers)) as threads:
            drives = [
                threads.submit(drive, server.port, [self.requests[title]], part, MAX_CONNECTIONS)
                for server in self.servers
            ]
            seconds = max(drive.result() for drive in drives)
        web, database = (after - earlier for after, earlier in zip(self._cpu_seconds(), before, strict=True))
        total = part * len(self.servers)
        return Figure(total / seconds, web / total * 1000, database / total * 1000)

    def _cpu_seconds(self) -> tuple[float, float]:
        return sum(server.cpu_seconds() for server in self.servers), self.database.cpu_seconds()


def main() -> int:
    parser = BenchmarkParser(__doc__, 3)
    parser.add_size("processes", [1, 2, 4, 10], [1], type=comma_separated_numbers)
    parser.add_size("rows", [1_000, 100_000, 1_000_000], [1_000], type=comma_separated_numbers)
    options = parser.read()
    print(f"{'rows':>9}  {'request':18}{'processes':>10}{'requests/s':>12}{'web ms':>9}{'database ms':>13}")
    with postgres_of_run() as database, redis() as broker, tempfile.TemporaryDirectory() as folder:
        os.environ["BENCH_BROKER_URL"] = broker
        for rows in options.rows:
            for processes in options.processes:
                measure("ours", rows, processes, options, database, Path(folder))
            measure("django", rows, 1, options, database, Path(folder))
    return 0


def measure(name: str, rows: int, processes: int, options: Namespace, database: Postgres, folder: Path) -> None:
    """Print the figures of a site with so many rows and web processes."""
    peer = PEERS[name]
    url = database.create_database(f"{name}_{rows}_{processes}")
    environ = environment(**peer.environ_for(url), **UNLIMITED, **{ADDITIONAL_ROWS_VARIABLE: str(FIRST_ROWS)})
    cookie = run(["-m", peer.prepare], environ)
    add_rows(url, TABLES[name], rows - FIRST_ROWS)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(serve(peer.serve, environ, folder / f"{name}{number}.log"))
            for number in range(processes)
        ]
        machines = Machines(servers, Server(database.pid, database.port), requests_of(name, cookie))
        for title in machines.requests:
            print_median(f"{rows:>9,}  {_title(name, title)}{processes:>10}", run_rounds(machines, title, options))
    database.drop_database(f"{name}_{rows}_{processes}")


def _title(name: str, title: str) -> str:
    return f"{title if name == 'ours' else f'Django {title}':24}"


def requests_of(name: str, cookie: str) -> dict[str, Request]:
    all_requests = make_requests(cookie)
    site = {title: all_requests[key] for title, key in SITE_PAGES.items()}
    admin = {
        title: page_request(ADMIN_LISTS[name] + queries[name], cookie, "Entry")
        for title, queries in ADMIN_QUERIES.items()
    }
    requests = admin | site  # inserts come last, because lists show new rows first
    return requests if name == "ours" else {title: requests[title] for title in DJANGO_PAGES}


def add_rows(url: str, table: str, count: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(COPY_ROWS.format(table=table, count=count).encode())
        connection.execute("VACUUM ANALYZE")


def run_rounds(machines: Machines, title: str, options: Namespace) -> list[Figure]:
    """Return the figures of each round after a round of warming up."""
    count = TEST_REQUESTS
    if options.is_judged:
        count = ADMIN_REQUESTS if title in ADMIN_QUERIES else SITE_REQUESTS
    try:
        machines.measure(title, min(count, WARM_UP_REQUESTS))
        return [machines.measure(title, count) for _ in range(options.rounds)]
    except WrongResponseError as error:
        sys.exit(f"{title}: {error}")


def print_median(start: str, figures: Sequence[Figure]) -> None:
    rate, web, database = (median(getattr(figure, name) for figure in figures) for name in Figure.__annotations__)
    print(f"{start}{rate:>12.0f}{web:>9.2f}{database:>13.2f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
