"""Connection pool and options that all engines share."""

import asyncio
import json
import os
from collections.abc import Coroutine, Mapping
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy import AsyncAdaptedQueuePool, Engine, PoolProxiedConnection, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_, greenlet_spawn

from opportune.config.settings import Settings
from opportune.db.url.database_url import DatabaseUrl
from opportune.services.tasks import run_in_background

MAX_COMPILED_STATEMENTS = 100
"""Compiled statements per engine. SQLAlchemy drops the oldest ones at 1.5 times this number. Its default is 500.

Each combination of filters and number of search words is a separate statement of 36 to 105 kB.
"""
DEFERRED = "deferred"
"""Execution option of a statement whose result is not used.

SQLite's faster driver runs it with the next statement or the commit, which also raises its error. Other drivers run it
immediately.
"""
POOL_TIMEOUT_SHARE = 0.9
"""Share of DATABASE_POOL_TIMEOUT to wait for a connection, so that the error response is sent in time."""


# libpq requests this time zone for each session, without a round trip. psycopg cannot read the last hours of the year
# 9999 in zones east of UTC, nor the first ones of the year 1 in zones west of it.
os.environ.setdefault("PGTZ", "UTC")


class Pool(AsyncAdaptedQueuePool):
    """SQLAlchemy's pool. It also counts the callers that wait for a connection."""

    __module__ = AsyncAdaptedQueuePool.__module__  # keeps SQLAlchemy's logger name

    def __init__(self, creator: Any, pool_size: int = 5, max_overflow: int = 10, **options: Any) -> None:
        super().__init__(creator, pool_size, max_overflow, **options)
        self.max_connections = pool_size + max(0, max_overflow)
        self._connecting = 0
        """Number of callers inside of `connect`."""

    @property
    def waiting(self) -> int:
        """Number of callers that wait because all connections are in use, not for a new connection to open."""
        return self._connecting if self.checkedout() >= self.max_connections else 0

    def connect(self) -> PoolProxiedConnection:
        if self._connecting and self._connecting >= self.max_connections - self.checkedout():
            await_(asyncio.sleep(0))  # waiting callers come before a task that has just returned a connection
        self._connecting += 1
        try:
            return super().connect()
        finally:
            self._connecting -= 1


ENGINE_OPTIONS: Mapping[str, Any] = {
    "hide_parameters": True,
    "query_cache_size": MAX_COMPILED_STATEMENTS,
    "poolclass": Pool,
    # Enums, UUIDs, times and other values that models validate for a column of JSON, such as `list[Colour]`.
    "json_serializer": json.JSONEncoder(default=to_jsonable_python).encode,
}


def pool_options(settings: Settings) -> dict[str, Any]:
    """Return the size and timeout of a pool, for `create_async_engine`."""
    size, overflow = settings.pool_size
    timeout = POOL_TIMEOUT_SHARE * settings.database_pool_timeout
    return {"pool_size": size, "max_overflow": overflow, "pool_timeout": timeout}


async def dispose(engine: AsyncEngine) -> None:
    """Close idle connections immediately, and connections in use when their sessions end."""
    pool = engine.sync_engine.pool
    await engine.dispose()
    event.listen(pool, "checkin", lambda _, record: record.close())
    await greenlet_spawn(pool.dispose)  # connections that were returned before the listener was added


def read_password_on_connect(engine: Engine, url: DatabaseUrl, *, is_async: bool = False) -> None:
    """Read the password for each new connection of an engine, if the URL has a source for it."""
    if url.password_source is None:
        return

    def set_password(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
        if is_async:
            parameters["password"] = await_(asyncio.to_thread(url.read_password))
        else:
            parameters["password"] = url.read_password()

    event.listen(engine, "do_connect", set_password)


def close_once(close: Coroutine[Any, Any, None]) -> None:
    """Close a connection to SQLite, and wait for it. The close continues if the request is cancelled.

    Otherwise SQLAlchemy would stop the thread of the connection, for which the first close waits forever.
    """
    await_(asyncio.shield(run_in_background(close)))
