"""A SQLite file with three rows, and engines of the driver with single hops."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import aiosqlite
import pytest
from sqlalchemy import Column, Executable, ForeignKey, Integer, MetaData, Table, Text, event, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from opportune.speedups.sqlite_driver import DRIVER

METADATA = MetaData()
PARENT = Table("parent", METADATA, Column("id", Integer, primary_key=True))
ITEM = Table(
    "item",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("title", Text, unique=True),
    Column("parent_id", ForeignKey("parent.id", deferrable=True, initially="DEFERRED")),
)
TITLES = select(ITEM.c.title).order_by(ITEM.c.id)


class Engines(NamedTuple):
    reading: AsyncEngine
    writing: AsyncEngine

    def reader(self) -> AsyncSession:
        return AsyncSession(self.reading)

    def writer(self) -> AsyncSession:
        return AsyncSession(self.writing)

    async def write(self, statement: Executable) -> None:
        """Run a statement in its own transaction."""
        async with self.writer() as session:
            await session.execute(statement)
            await session.commit()


def make_engine(path: Path, begin: str) -> AsyncEngine:
    arguments = {"isolation_level": None, "timeout": 0}
    engine = create_async_engine(f"{DRIVER}:///{path}", begin=begin, connect_args=arguments, pool_size=1)
    event.listen(engine.sync_engine, "connect", configure)
    return engine


def configure(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = OFF", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


@pytest.fixture
async def engines(tmp_path: Path) -> AsyncIterator[Engines]:
    engines = Engines(make_engine(tmp_path / "test.db", "BEGIN"), make_engine(tmp_path / "test.db", "BEGIN IMMEDIATE"))
    async with engines.writing.begin() as connection:
        await connection.run_sync(METADATA.create_all)
        await connection.execute(insert(ITEM), [{"title": "one"}, {"title": "two"}, {"title": "three"}])
    async with engines.reader() as session:
        await session.execute(TITLES)
    yield engines
    for engine in engines:
        await engine.dispose()


@pytest.fixture
def hops(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the calls to aiosqlite's threads."""
    hops: list[str] = []
    execute: Any = aiosqlite.Connection._execute

    def record(self: aiosqlite.Connection, function: Callable[..., object], *arguments: object) -> Awaitable[object]:
        hops.append(function.__name__)
        result: Awaitable[object] = execute(self, function, *arguments)
        return result

    monkeypatch.setattr(aiosqlite.Connection, "_execute", record)
    return hops


@pytest.fixture
async def statements(engines: Engines) -> list[str]:
    """Statements that SQLite runs."""
    statements: list[str] = []
    for engine in engines:
        async with engine.connect() as connection:
            raw = await connection.get_raw_connection()
            await raw.driver_connection.set_trace_callback(statements.append)  # type: ignore[union-attr]  # aiosqlite's
    return statements


async def read_titles(engines: Engines) -> list[str | None]:
    async with engines.reader() as session:
        return list(await session.scalars(TITLES))
