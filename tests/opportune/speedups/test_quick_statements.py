"""Short SQLite statements, which run in the event loop's thread."""

import asyncio
import gc
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from sqlalchemy import Executable, TextClause, event, insert, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from opportune.speedups import quick_statements
from opportune.speedups.sqlite_driver import STATEMENTS_PER_TURN
from tests.opportune.speedups.sqlite_engines import ITEM, Engines, engines, hops, make_engine, read_titles

__all__ = ["engines", "hops"]  # fixtures

COUNTED = text(
    "SELECT max(i) FROM "
    "(WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < :end) SELECT i FROM n)"
)
"""Takes about 15 steps of SQLite per number."""
TABLES = text("SELECT count(*) FROM sqlite_master")
HOP = "_execute_fetchall"


@pytest.fixture(autouse=True)
def _allow_slow_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MAX_PROCESSOR_SECONDS", "MAX_SECONDS"):
        monkeypatch.setattr(quick_statements, limit, 60)


def count_to(end: int) -> TextClause:
    return COUNTED.bindparams(end=end)


async def read(engine: AsyncEngine, statement: Executable) -> object:
    async with engine.connect() as connection:
        return await connection.scalar(statement)


async def test_short_read_is_repeated_without_a_hop(engines: Engines, hops: list[str]) -> None:
    assert [await read(engines.reading, count_to(end)) for end in (1, 2, 3)] == [1, 2, 3]
    assert hops == [HOP]


async def test_short_insert_hops_only_for_its_commit(engines: Engines, hops: list[str]) -> None:
    for number, title in enumerate(("four", "five"), 4):
        await engines.write(insert(ITEM).values(id=number, title=title))
    assert hops == [HOP, "commit", "commit"]
    assert (await read_titles(engines))[3:] == ["four", "five"]


@pytest.mark.parametrize("statement", ["UPDATE item SET title = title || '!' WHERE id = 1", "DELETE FROM item"])
async def test_change_of_unknown_size_keeps_its_hop(engines: Engines, hops: list[str], statement: str) -> None:
    for _ in range(2):
        await engines.write(text(statement))
    assert hops == [HOP, "commit"] * 2


async def test_long_read_ends_and_hops(engines: Engines, hops: list[str]) -> None:
    ends = [1, 1, 100_000, 1]
    assert [await read(engines.reading, count_to(end)) for end in ends] == ends
    assert hops == [HOP] * 3  # the second has none; after the third, the statement hops for a while


async def test_ended_read_keeps_earlier_changes(engines: Engines) -> None:
    await read(engines.reading, count_to(1))
    async with engines.writer() as session:
        await session.scalar(count_to(1))
        await session.execute(insert(ITEM).values(title="four"))
        assert await session.scalar(count_to(100_000)) == 100_000
        await session.commit()
    assert (await read_titles(engines))[3:] == ["four"]


async def test_slow_statement_hops_a_while(engines: Engines, hops: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_statements, "MAX_SECONDS", -1)
    for _ in range(3):
        await read(engines.reading, count_to(1))
    assert hops == [HOP, HOP]


async def test_slow_machine_gives_all_a_hop(engines: Engines, hops: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for statement in (count_to(1), TABLES):
        await read(engines.reading, statement)
    monkeypatch.setattr(quick_statements, "MAX_SECONDS", -1)
    for statement in (count_to(1), TABLES):
        await read(engines.reading, statement)
    assert hops == [HOP] * 3


async def test_slower_statement_keeps_hop(engines: Engines, hops: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    await read(engines.reading, TABLES)
    monkeypatch.setattr(quick_statements, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(quick_statements, "MAX_PROCESSOR_SECONDS", 0)
    for _ in range(3):
        await read(engines.reading, TABLES)
    assert hops == [HOP] * 3  # all but the second read


async def test_time_limit_ends_a_statement_that_was_short(engines: Engines) -> None:
    async with engines.reading.connect() as connection:
        await connection.scalar(count_to(1))
        raw: Any = await connection.get_raw_connection()
        await raw.driver_connection.set_progress_handler(lambda: True, 100_000)
        with pytest.raises(OperationalError, match="interrupted"):
            await connection.scalar(count_to(100_000))


async def test_idle_connection_keeps_no_rows(engines: Engines) -> None:
    class Title(str):
        """String that a weak reference can follow."""

    titles: list[ref[Title]] = []

    def read_title(text: bytes) -> Title:
        title = Title(text.decode())
        titles.append(ref(title))
        return title

    async with engines.reading.connect() as connection:
        raw: Any = await connection.get_raw_connection()
        raw.driver_connection.text_factory = read_title
    assert len(await read_titles(engines)) == 3
    gc.collect(0)
    assert len(titles) >= 3
    assert {title() for title in titles} == {None}


async def test_insert_waits_for_other_processes_in_a_hop(engines: Engines, hops: list[str], tmp_path: Path) -> None:
    for title in ("four", "five"):
        await engines.write(insert(ITEM).values(title=title))
    other_process = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
    other_process.execute("BEGIN IMMEDIATE")
    hops.clear()
    with pytest.raises(OperationalError, match="locked"):
        await engines.write(insert(ITEM).values(title="six"))
    assert HOP in hops
    other_process.close()


async def test_lock_timeout_survives_an_insert(engines: Engines) -> None:
    async with engines.writing.connect() as connection:
        await connection.exec_driver_sql("PRAGMA busy_timeout = 1234")
    for title in ("four", "five"):
        await engines.write(insert(ITEM).values(title=title))
    assert await read(engines.writing, text("PRAGMA busy_timeout")) == 1234


async def test_insert_without_a_hop_reports_conflicts(engines: Engines) -> None:
    await engines.write(insert(ITEM).values(title="four"))
    with pytest.raises(IntegrityError, match="UNIQUE"):
        await engines.write(insert(ITEM).values(title="four"))
    await engines.write(insert(ITEM).values(title="five"))
    assert (await read_titles(engines))[3:] == ["four", "five"]


async def test_read_waits_for_other_processes_in_a_hop(hops: list[str], tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "other.db", "BEGIN")
    event.listen(engine.sync_engine, "connect", lambda raw, _record: raw.execute("PRAGMA journal_mode = DELETE"))
    for _ in range(2):
        await read(engine, TABLES)
    hops.clear()
    with closing(sqlite3.connect(tmp_path / "other.db", isolation_level=None)) as other_process:
        other_process.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OperationalError, match="locked"):
            await read(engine, TABLES)
    assert HOP in hops
    await engine.dispose()


async def test_other_tasks_run_between_short_statements(engines: Engines, hops: list[str]) -> None:
    turns: list[int] = []

    async def take_turns() -> None:
        while True:
            turns.append(len(turns))
            await asyncio.sleep(0)

    await read(engines.reading, count_to(1))
    async with asyncio.timeout(30):
        other = asyncio.create_task(take_turns())
        async with engines.reading.connect() as connection:
            for _ in range(5 * STATEMENTS_PER_TURN):
                await connection.scalar(count_to(1))
        other.cancel()
    assert len(turns) >= 5
    assert hops == [HOP]
