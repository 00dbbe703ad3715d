"""Limit of compiled statements per engine, the order of waiting tasks, and idle connections."""

import asyncio
import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select, func, literal, literal_column, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from opportune.db import Database
from opportune.db.drivers.pool import MAX_COMPILED_STATEMENTS, Pool, dispose


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.usefixtures("only_young_garbage")
async def test_engines_drop_old_compiled_statements(database: Database) -> None:
    # The engines of `database` share a cache with all tests.
    for engine in (database._create_writing_engine(), database._create_reading_engine()):
        count = await count_compiled_statements(engine, 2 * MAX_COMPILED_STATEMENTS)
        await dispose(engine)
        assert MAX_COMPILED_STATEMENTS <= count <= 1.5 * MAX_COMPILED_STATEMENTS


async def count_compiled_statements(engine: AsyncEngine, executed: int) -> int:
    """Execute different statements and count those that the engine still refers to."""
    statements = []
    async with engine.connect() as connection:
        for number in range(executed):
            statement: Select[Any] = select(literal_column(str(number)))
            statements.append(weakref.ref(statement))
            await connection.execute(statement)
            del statement
    gc.collect(0)
    return sum(statement() is not None for statement in statements)


async def test_waiting_task_gets_the_next_connection(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/test.db", poolclass=Pool, pool_size=1, max_overflow=0)
    users: list[str] = []

    async def read(user: str, times: int) -> None:
        async with AsyncSession(engine) as session:
            for _ in range(times):
                await session.execute(select(literal(1)))
                users.append(user)
                await session.rollback()

    await asyncio.gather(read("loop", 3), read("request", 1))
    assert users == ["loop", "request", "loop", "loop"]
    await engine.dispose()


@pytest.mark.database("postgresql")
async def test_closed_connection_is_not_watched(database: Database) -> None:
    async with database.reader() as session:
        connection: Any = await (await session.connection()).get_raw_connection()
        socket = connection.driver_connection.pgconn.socket
        assert await session.scalar(select(literal(1))) == 1
        assert await session.scalar(select(literal(2))) == 2
    await database.reading_engine.dispose()
    assert not asyncio.get_running_loop().remove_reader(socket)


@pytest.mark.database("postgresql")
async def test_watch_ends_if_the_server_closes_idle_connection(database: Database) -> None:
    async with database.reader() as session:
        connection: Any = (await (await session.connection()).get_raw_connection()).driver_connection
        process_id = await session.scalar(select(func.pg_backend_pid()))
    async with database.writer() as session:
        await session.execute(select(func.pg_terminate_backend(process_id, 10_000)))
    async with asyncio.timeout(60):
        while connection._watch._watched:  # else each iteration of the event loop would report the socket
            await asyncio.sleep(0)
    async with database.reader() as session:
        assert await session.scalar(select(literal(1))) == 1


@pytest.mark.database("postgresql")
async def test_statement_larger_than_the_send_buffer_is_sent(database: Database) -> None:
    async with database.reader() as session:
        assert await session.scalar(select(func.length("a" * 30_000_000))) == 30_000_000
