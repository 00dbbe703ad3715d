"""Options that all engines share: pool size, pool timeout and compiled statements. Also the end of a pool."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from opportune.config.settings import Settings

MAX_COMPILED_STATEMENTS = 200
"""Compiled statements an engine keeps; SQLAlchemy drops the oldest when there are half as many again.

Each combination of filters and number of search words is a statement of 36 to 105 kB. SQLAlchemy's default is 500.
"""
ENGINE_OPTIONS: Mapping[str, Any] = {"hide_parameters": True, "query_cache_size": MAX_COMPILED_STATEMENTS}
POOL_TIMEOUT_SHARE = 0.9
"""What of DATABASE_POOL_TIMEOUT is spent on waiting: the visitor has the answer before it ends."""


def pool_options(settings: Settings) -> dict[str, Any]:
    """A pool's size and patience, for `create_async_engine`."""
    return {
        "pool_size": settings.database_pool_size,
        "max_overflow": settings.database_max_overflow,
        "pool_timeout": POOL_TIMEOUT_SHARE * settings.database_pool_timeout,
    }


async def dispose(engine: AsyncEngine) -> None:
    """Close its connections, and what a session has yet when that session ends: its pool is nobody's by then."""
    pool = engine.sync_engine.pool
    await engine.dispose()
    event.listen(pool, "checkin", lambda _, record: record.close())
    await greenlet_spawn(pool.dispose)  # what has come back meanwhile
