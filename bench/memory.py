"""A SQLite database in memory, shared in two ways, and on disk: a list of 20 rows by key.

    .venv/bin/python -m bench.memory [--rounds 7]

One process with 16 connections. Last, the lists per second of one reader while another runs a slow statement. With a
shared cache all readers wait for it.
"""

import asyncio
import sqlite3
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import uvloop
from sqlalchemy import text

from bench.harness.options import BenchmarkParser
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.drivers.sqlite import SQLiteDatabase
from opportune.db.drivers.sqlite_memory import MemoryDatabase
from opportune.db.url.database_url import DatabaseUrl

READERS = (1, 4, 16)
ROWS_PER_OWNER = 100
LIST_QUERY = text("SELECT id, title, done, body FROM item WHERE owner = :owner ORDER BY id DESC LIMIT 20")
SLOW_QUERY = text("""
    WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 500000)
    SELECT count(*) FROM counter JOIN item ON item.id = 1
""")
"""Its time does not depend on the rows. It reads a row, because only readers of the same cache can block each other."""


class SharedCache(MemoryDatabase):
    memory_uri = "file:{}?mode=memory&cache=shared"


class Figure(NamedTuple):
    lists_per_second: float
    cpu_microseconds: float
    """Microseconds of processor time per list."""


KINDS: dict[str, tuple[type[Database], str]] = {
    "memory (memdb)": (MemoryDatabase, "sqlite+memory"),
    "memory (shared cache)": (SharedCache, "sqlite+memory"),
    "file": (SQLiteDatabase, "sqlite"),
}


def main() -> None:
    parser = BenchmarkParser(__doc__, 7)
    parser.add_size("lists", 1600, 16, help="in each round")
    parser.add_size("owners", 1000, 10, help=f"with {ROWS_PER_OWNER} rows each")
    options = parser.read()
    with example_file(options.owners) as path:
        uvloop.run(measure(path, options))


@contextmanager
def example_file(owners: int) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "items.db"
        rows = ((n % owners, f"Item {n}", n % 2, f"About {n}. " * 5) for n in range(owners * ROWS_PER_OWNER))
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, owner INT, title TEXT, done INT, body TEXT)")
            file.executemany("INSERT INTO item (owner, title, done, body) VALUES (?, ?, ?, ?)", rows)
            file.execute("CREATE INDEX item_owner ON item (owner)")
        yield path


async def measure(path: Path, options: Namespace) -> None:
    databases = {kind: await open_database(kind, path) for kind in KINDS}
    figures: dict[tuple[str, int], list[Figure]] = {(kind, readers): [] for kind in KINDS for readers in READERS}
    for round_number in range(-1, options.rounds):  # round -1 opens connections and is not counted
        for readers in READERS:
            for kind in KINDS if round_number % 2 else reversed(KINDS):
                figure = await measure_lists(databases[kind], readers, options.lists // readers, options.owners)
                if round_number >= 0:
                    figures[kind, readers].append(figure)
    for (kind, readers), results in figures.items():
        rate, cpu_microseconds = (median(column) for column in zip(*results, strict=True))
        print(f"{kind:24} {readers:2} readers {rate:7.0f} lists per second {cpu_microseconds:7.0f} µs of CPU each")
    for kind, database in databases.items():
        rate = await lists_beside_slow_query(database, options.owners)
        print(f"{kind:24} {rate:18.0f} lists per second beside a slow statement")
        await database.dispose()


async def open_database(kind: str, path: Path) -> Database:
    database_class, scheme = KINDS[kind]
    settings = Settings(_env_file=None, environment="test", database_pool_size=max(READERS))
    database = database_class(DatabaseUrl.parse(f"{scheme}:///{path}"), settings)
    await database.setup()
    return database


async def measure_lists(database: Database, readers: int, lists_per_reader: int, owners: int) -> Figure:
    async def read(reader: int) -> None:
        for number in range(lists_per_reader):
            async with database.reader() as session:
                rows = (await session.execute(LIST_QUERY, {"owner": (number * 37 + reader) % owners})).all()
            assert len(rows) == 20

    started, processor = time.perf_counter(), time.process_time()
    await asyncio.gather(*(read(reader) for reader in range(readers)))
    count = readers * lists_per_reader
    return Figure(count / (time.perf_counter() - started), (time.process_time() - processor) / count * 1e6)


async def lists_beside_slow_query(database: Database, owners: int) -> float:
    async def run_slow_query() -> None:
        async with database.reader() as session:
            await session.execute(SLOW_QUERY)

    count = 0
    slow_query = asyncio.create_task(run_slow_query())
    await asyncio.sleep(0.05)  # until the thread runs the statement
    started = time.perf_counter()
    while not slow_query.done():
        await measure_lists(database, 1, 1, owners)
        count += 1
    await slow_query
    if not count:
        sys.exit("No list was read beside the slow statement, which was too fast.")
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
