"""SQLite driver with one thread hop per statement: transactions, errors and cancellation."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Insert, insert, text, update
from sqlalchemy.exc import IntegrityError, MissingGreenlet, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from tests.opportune.speedups.sqlite_engines import (
    ITEM,
    TITLES,
    Engines,
    engines,
    hops,
    read_titles,
    statements,
)
from tests.opportune.waiting import wait_until

__all__ = ["engines", "hops", "statements"]  # fixtures

# Endless unless interrupted. If that fails, it ends after about a minute.
ENDLESS = text(
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 200000000) SELECT i FROM n WHERE i < 0"
)


async def test_unused_session_makes_no_hop(engines: Engines, statements: list[str], hops: list[str]) -> None:
    for make in (engines.reader, engines.writer):
        async with make() as session:
            await session.commit()
        async with make() as session:
            await session.connection()
        async with make() as session:
            await session.connection()
            await session.commit()
    assert (statements, hops) == ([], [])


async def test_begin_is_sent_with_first_statement(engines: Engines, statements: list[str], hops: list[str]) -> None:
    async with engines.reader() as session:
        await session.execute(text("SELECT 1"))
        await session.execute(text("SELECT 2"))
    async with engines.writer() as session:
        await session.execute(text("DELETE FROM item WHERE id = 1"))
        await session.commit()
        await session.execute(text("DELETE FROM item"))
    assert statements[:4] == ["BEGIN", "SELECT 1", "SELECT 2", "ROLLBACK"]
    assert statements[4:7] == ["BEGIN IMMEDIATE", "DELETE FROM item WHERE id = 1", "COMMIT"]
    assert statements[7:] == ["BEGIN IMMEDIATE", "DELETE FROM item", "ROLLBACK"]
    assert hops == [*["_execute_fetchall"] * 3, "commit", "_execute_fetchall", "rollback"]
    assert await read_titles(engines) == ["two", "three"]


def deferred(title: str) -> Insert:
    return insert(ITEM).values(title=title).inline().execution_options(deferred=True)


async def test_deferred_statement_is_sent_with_commit(engines: Engines, hops: list[str]) -> None:
    await engines.write(deferred("four"))
    assert hops == ["_execute_fetchall"]
    assert (await read_titles(engines))[-1] == "four"


async def test_deferred_statements_keep_their_order(engines: Engines, hops: list[str]) -> None:
    async with engines.writer() as session:
        await session.execute(deferred("four"))
        async with session.begin_nested() as savepoint:
            await session.execute(deferred("five"))
            await savepoint.rollback()
        await session.execute(deferred("six"))
        assert (await session.scalars(TITLES)).all()[3:] == ["four", "six"]
        await session.execute(deferred("seven"))
        await session.rollback()
        await session.execute(deferred("eight"))
        await session.commit()
    assert (await read_titles(engines))[3:] == ["eight"]


async def test_commit_reports_deferred_errors(engines: Engines) -> None:
    async with engines.writer() as session:
        await session.execute(text("DELETE FROM item WHERE id = 1"))
        await session.execute(deferred("two"))
        with pytest.raises(IntegrityError, match="UNIQUE"):
            await session.commit()
    assert await read_titles(engines) == ["one", "two", "three"]


async def test_transaction_that_sqlite_rolled_back_ends(engines: Engines) -> None:
    long_title = insert(ITEM).values(title="long" * 100_000)
    async with engines.writer() as session:
        await session.execute(text("PRAGMA max_page_count = 1"))  # the disk is full
        await session.execute(insert(ITEM).values(title="four"))
        with pytest.raises(OperationalError, match="full"):
            await session.execute(long_title)
        with pytest.raises(OperationalError, match="full"):
            await session.execute(insert(ITEM).values(title="five"))
        with pytest.raises(OperationalError, match="full"):
            await session.commit()
    assert await read_titles(engines) == ["one", "two", "three"]
    await engines.write(insert(ITEM).values(title="six"))
    assert await read_titles(engines) == ["one", "two", "three", "six"]


async def test_failed_begin_is_repeated(engines: Engines, tmp_path: Path) -> None:
    other_process = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
    other_process.execute("BEGIN IMMEDIATE")
    async with engines.writer() as session:
        with pytest.raises(OperationalError, match="locked"):
            await session.execute(text("DELETE FROM item"))
        other_process.close()
        await session.execute(text("DELETE FROM item"))
    assert await read_titles(engines) == ["one", "two", "three"]


async def test_stream_reads_a_snapshot(engines: Engines, statements: list[str]) -> None:
    async with engines.reader() as session:
        result = await session.stream_scalars(TITLES)
        first = await anext(aiter(result))
        await engines.write(text("DELETE FROM item"))
        assert [first, *await result.all()] == ["one", "two", "three"]
    assert statements[0] == "BEGIN"
    assert await read_titles(engines) == []


async def test_savepoint_rolls_back_only_its_changes(engines: Engines) -> None:
    async def fail(session: AsyncSession) -> None:
        async with session.begin_nested():
            await session.execute(insert(ITEM).values(title="lost"))
            await session.execute(insert(ITEM).values(title="kept"))

    async with engines.writer() as session:
        await session.execute(insert(ITEM).values(title="kept"))
        with pytest.raises(IntegrityError):
            await fail(session)
        await session.commit()
    assert await read_titles(engines) == ["one", "two", "three", "kept"]


@pytest.mark.parametrize(
    ("statement", "error_type"),
    [
        ("SELECT * FROM nowhere", OperationalError),
        ("SELECT 1; SELECT 2", ProgrammingError),
        ("INSERT INTO item (title) VALUES ('one')", IntegrityError),
    ],
)
async def test_driver_errors_are_converted(engines: Engines, statement: str, error_type: type[Exception]) -> None:
    async with engines.writer() as session:
        with pytest.raises(error_type) as error:
            await session.execute(text(statement))
    assert type(error.value) is error_type
    assert isinstance(error.value.__cause__, sqlite3.Error)
    assert await read_titles(engines) == ["one", "two", "three"]


async def cancel_and_wait(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.wait({task}, timeout=20)
    assert task.cancelled()


async def read_endlessly(engines: Engines) -> None:
    async with engines.reader() as session:
        await session.execute(ENDLESS)


async def delete_and_read_endlessly(engines: Engines) -> None:
    async with engines.writer() as session:
        await session.execute(text("DELETE FROM item"))
        await session.execute(ENDLESS)


async def stream_endlessly(engines: Engines) -> None:
    async with engines.reader() as session:
        await session.stream(ENDLESS)


@pytest.mark.parametrize("act", [delete_and_read_endlessly, stream_endlessly])
async def test_cancelled_session_is_rolled_back(
    engines: Engines, statements: list[str], act: Callable[[Engines], Awaitable[None]]
) -> None:
    task = asyncio.ensure_future(act(engines))
    await wait_until(lambda: str(ENDLESS) in statements)
    await cancel_and_wait(task)
    assert await read_titles(engines) == ["one", "two", "three"]
    await engines.write(insert(ITEM).values(title="four"))
    assert await read_titles(engines) == ["one", "two", "three", "four"]


async def test_rollback_interrupts_a_running_statement(engines: Engines, statements: list[str]) -> None:
    async with engines.reading.connect() as connection:
        task = asyncio.create_task(connection.execute(ENDLESS))
        await wait_until(lambda: str(ENDLESS) in statements)
        async with asyncio.timeout(30):
            await connection.rollback()
            with pytest.raises(OperationalError, match="interrupted"):
                await task
    assert await read_titles(engines) == ["one", "two", "three"]


async def test_running_statement_survives_pool_disposal(engines: Engines, statements: list[str]) -> None:
    task = asyncio.create_task(read_endlessly(engines))
    await wait_until(lambda: str(ENDLESS) in statements)
    await engines.reading.dispose()
    assert not task.done()
    await cancel_and_wait(task)
    assert await read_titles(engines) == ["one", "two", "three"]


async def test_rollback_without_greenlet_is_repeated_at_the_end(engines: Engines) -> None:
    """Accessing an unloaded attribute outside a greenlet makes SQLAlchemy roll back where nothing can be awaited."""
    async with engines.writer() as session:
        await session.execute(update(ITEM).values(title=ITEM.c.title + "!"))
        connection: Any = (await (await session.connection()).get_raw_connection()).dbapi_connection
        with pytest.raises(MissingGreenlet):
            connection.rollback()
    async with engines.writer() as session, session.begin():
        await session.execute(update(ITEM).values(title=ITEM.c.title + "?"))
    async with engines.reader() as session:
        assert (await session.scalars(TITLES)).all() == ["one?", "two?", "three?"]


async def test_abandoned_stream_releases_its_snapshot(engines: Engines) -> None:
    async with engines.reader() as session:
        result = await session.stream_scalars(TITLES)
        assert await anext(aiter(result)) == "one"
    await engines.write(text("DELETE FROM item"))
    assert await read_titles(engines) == []
    del result
