"""Compiled statements per engine, the order of waiting tasks, idle connections and suspended databases."""

import asyncio
import selectors
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import OperationalError
from sqlalchemy import func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.util import greenlet_spawn

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.db import Database, open_database, utc_now
from opportune.db.drivers import psycopg_timeouts
from opportune.db.drivers.pool import Pool, close_once
from opportune.db.drivers.psycopg_timeouts import TimedConnection
from opportune.db.queries.dialects import read_database_time
from opportune.jobs.models import Job
from opportune.services.clock import clock

pytestmark = pytest.mark.database("postgresql")


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


async def test_statement_larger_than_the_send_buffer_is_sent(database: Database) -> None:
    async with database.reader() as session:
        assert await session.scalar(select(func.length("a" * 10_000_000))) == 10_000_000


IDLE_SECONDS = 7 * 24 * 3600
LAST_STATEMENT = """
    SELECT count(*), max(state_change), max(backend_start) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


class SkippingSelector(selectors.DefaultSelector):
    """Selector that skips the time in which nothing happens."""

    skipped_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(timeout if timeout is None else min(timeout, 0.02))
        if not events and timeout:
            self.skipped_seconds += timeout
        return events


@contextmanager
def skipping_loop() -> Iterator[asyncio.Runner]:
    """Event loop whose clock skips idle time."""

    def make() -> asyncio.AbstractEventLoop:
        selector = SkippingSelector()
        loop = asyncio.SelectorEventLoop(selector)
        real = loop.time
        loop.time = lambda: real() + selector.skipped_seconds  # type: ignore[method-assign]  # skips idle time
        return loop

    with asyncio.Runner(loop_factory=make) as runner:
        yield runner


@pytest.mark.parametrize("jobs", ["inline", "worker"])
def test_idle_site_sends_no_statements(settings: Settings, jobs: str) -> None:
    changes = {"environment": "production", "jobs": jobs, "llm_base_url": "http://127.0.0.1:9/v1", "llm_model": "x"}
    site = settings.model_copy(update=changes)
    address = site.database_url.get_secret_value()

    async def idle(connection: psycopg.Connection[Any]) -> None:
        app = create_app(site)
        async with app.router.lifespan_context(app):
            await asyncio.sleep(60)  # work at startup
            async with app.state.database.writer() as session:  # scheduled jobs would wake the database
                await session.execute(update(Job).values(due_at=utc_now() + timedelta(days=30)))
            app.state.jobs.worker.wake()
            await asyncio.sleep(60)
            statements_before = connection.execute(LAST_STATEMENT).fetchone()
            assert statements_before
            assert statements_before[0] > 0
            await asyncio.sleep(IDLE_SECONDS)
            assert connection.execute(LAST_STATEMENT).fetchone() == statements_before

    with psycopg.connect(address, autocommit=True) as connection, skipping_loop() as runner:
        runner.run(asyncio.wait_for(idle(connection), IDLE_SECONDS * 2))


@pytest.mark.parametrize(("message", "times"), [("Couldn't connect to compute node", 6), ("Connection refused", 2)])
async def test_connect_retries_until_database_wakes(monkeypatch: pytest.MonkeyPatch, message: str, times: int) -> None:
    attempts: list[float] = []

    async def connect(*_arguments: object, **_options: object) -> str:
        attempts.append(asyncio.get_running_loop().time())
        if len(attempts) <= times:
            raise OperationalError(message)
        return "connected"

    monkeypatch.setattr(psycopg_timeouts, "RETRY_DELAYS_SECONDS", (0, 0))
    monkeypatch.setattr(psycopg_timeouts, "WAKE_RETRY_SECONDS", 0)
    monkeypatch.setattr(TimedConnection, "connect", connect)
    assert str(await TimedConnection._retry_connect()) == "connected"
    assert len(attempts) == times + 1


async def test_close_continues_when_its_request_is_cancelled() -> None:
    begun, may_end, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def close() -> None:
        begun.set()
        await may_end.wait()
        closed.set()

    request = asyncio.create_task(greenlet_spawn(close_once, close()))
    await begun.wait()
    request.cancel()
    await asyncio.wait({request})
    assert request.cancelled()
    may_end.set()
    async with asyncio.timeout(10):
        await closed.wait()


@pytest.mark.parametrize("difference", [-3600, 3600])
async def test_database_clock_is_used(settings: Settings, monkeypatch: pytest.MonkeyPatch, difference: int) -> None:
    machine_time = time.time
    monkeypatch.setattr(clock, "_started_at", None)
    monkeypatch.delattr(clock, "compare")  # of `keep_time_of_tests`
    monkeypatch.setattr("time.time", lambda: machine_time() + difference)
    async with open_database(settings) as database, database.reader() as session:
        assert abs(await read_database_time(session) - utc_now()) < timedelta(seconds=60)
    clock.compare(machine_time() - 56, delay_seconds=56)
    assert abs(clock.now() - machine_time()) < 5, "a slow response is less exact"
