import asyncio
from typing import NoReturn

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import create_async_engine

from opportune.db.drivers import pool_adapter
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
