import asyncio
import gc
import weakref
from typing import Any, NoReturn

import pytest
from sqlalchemy import Select, literal_column, select
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from opportune.db import Database
from opportune.db.drivers import pool_adapter
from opportune.db.drivers.pool import MAX_COMPILED_STATEMENTS, dispose
from opportune.db.drivers.pool_adapter import TimedPool


async def never(*_: object, **__: object) -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_connection_that_never_comes_ends_with_the_pools_time_and_leaves_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_adapter, "CHECKOUT_MARGIN_SECONDS", 0.01)
    engine = create_async_engine(
        "postgresql+psycopg://127.0.0.1/any",
        poolclass=TimedPool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=0.01,
        connect_args={"async_creator_fn": never},
    )
    for _ in range(2):
        async with asyncio.timeout(10):
            with pytest.raises(PoolTimeoutError, match="the server is silent"):
                await engine.connect()


@pytest.mark.usefixtures("only_young_garbage")
async def test_engines_drop_old_compiled_statements(database: Database) -> None:
    # The engines of `database` share a cache with all tests.
    for engine in (database._writing_engine(), database._reading_engine()):
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
