"""Statements per second through PgBouncer: our database compared with engines configured by hand.

    .venv/bin/python -m bench.pooler [--rounds 11]

One process, 16 tasks, one statement per transaction, reads and inserts in turn. Both run in each round, in alternating
order. PgBouncer shares two server connections among all of them.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from statistics import median
from typing import Any

import uvloop
from pydantic import SecretStr
from sqlalchemy import event, make_url, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from bench.harness.options import BenchmarkParser
from opportune.config.settings import Settings
from opportune.contrib.deploy.rehearsal.pgbouncer import PROGRAM, pgbouncer
from opportune.db.database import Database
from opportune.db.factory import open_database
from opportune.testing.services.postgres import postgres_of_run

MIN_RATIO = 0.95
CLIENT_TASKS = 16
PAIRS, TEST_PAIRS = 25, 5
"""Reads and inserts of each task in each round."""
READ = text("SELECT title FROM item WHERE id = :id")
INSERT = text("INSERT INTO item (title) VALUES (:title) RETURNING id")

Sessions = Callable[[], AbstractAsyncContextManager[AsyncSession]]


def main() -> int:
    options = BenchmarkParser(__doc__, 11).read()
    if PROGRAM is None:
        sys.exit("PgBouncer is missing: apt-get install pgbouncer")
    with postgres_of_run() as server, pgbouncer(server.create_database("pooled")) as url:
        ours, plain = uvloop.run(measure(url, options.rounds, PAIRS if options.is_judged else TEST_PAIRS))
    print(f"{'our database':24} {ours:7.0f} statements a second")
    print(f"{'plain engines':24} {plain:7.0f}")
    print(f"{'ratio':24} {ours / plain:7.2f}    (at least {MIN_RATIO}; medians of {options.rounds} rounds)")
    return int(options.is_judged and ours / plain < MIN_RATIO)


async def measure(url: str, rounds: int, pairs: int) -> tuple[float, float]:
    """Return the medians of our database and of the engines configured by hand."""
    settings = Settings(_env_file=None, environment="test", database_url=SecretStr(url))
    database, peer = open_database(settings), PlainEngines(url, settings)
    await database.setup()
    targets: list[tuple[Sessions, Sessions]] = [(database.reader, database.writer), (peer.reader, peer.writer)]
    await create_table(database)
    figures: tuple[list[float], list[float]] = ([], [])
    for number in range(-1, rounds):  # round -1 opens connections and is not counted
        for target in (0, 1) if number % 2 else (1, 0):
            rate = await statements_per_second(*targets[target], pairs)
            if number >= 0:
                figures[target].append(rate)
    await database.dispose()
    await peer.dispose()
    return median(figures[0]), median(figures[1])


class PlainEngines:
    """Engines with the same settings as those of opportune/db."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.engines = [
            create_async_engine(
                make_url(url).set(drivername="postgresql+psycopg"),
                connect_args={"prepare_threshold": None, "connect_timeout": 5, "application_name": "plain"},
                isolation_level=level,
                pool_size=settings.database_pool_size,
                max_overflow=settings.database_max_overflow,
                pool_timeout=settings.database_pool_timeout,
                pool_pre_ping=True,
                pool_recycle=280,
            )
            for level in ("READ COMMITTED", "REPEATABLE READ")
        ]
        writer_engine, reader_engine = self.engines
        event.listen(reader_engine.sync_engine, "connect", make_read_only)
        self.writer: Sessions = async_sessionmaker(writer_engine, expire_on_commit=False).begin
        self.reader: Sessions = async_sessionmaker(reader_engine, expire_on_commit=False, autoflush=False)

    async def dispose(self) -> None:
        for engine in self.engines:
            await engine.dispose()


def make_read_only(connection: Any, _record: object) -> None:
    connection.set_read_only(True)
    connection.set_deferrable(True)


async def create_table(database: Database) -> None:
    async with database.writer() as session:
        await session.execute(text("CREATE TABLE item (id bigserial PRIMARY KEY, title text NOT NULL)"))
        await session.execute(INSERT, {"title": "Item 1"})


async def statements_per_second(reader: Sessions, writer: Sessions, pairs: int) -> float:
    async def run_statements() -> None:
        for _ in range(pairs):
            async with reader() as session:
                assert await session.scalar(READ, {"id": 1}) == "Item 1"
            async with writer() as session:
                assert await session.scalar(INSERT, {"title": "Buy milk"})

    started = time.perf_counter()
    await asyncio.gather(*(run_statements() for _ in range(CLIENT_TASKS)))
    return CLIENT_TASKS * pairs * 2 / (time.perf_counter() - started)


if __name__ == "__main__":
    sys.exit(main())
