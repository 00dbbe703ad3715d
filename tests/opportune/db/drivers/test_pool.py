"""Compiled statements per engine, the order of waiting tasks, idle connections and suspended databases."""

import asyncio
import gc
import selectors
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import OperationalError
from sqlalchemy import Select, func, literal, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.util import greenlet_spawn

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.db import Database
from opportune.db.clock import utc_now
from opportune.db.drivers import psycopg_timeouts
from opportune.db.drivers.pool import MAX_COMPILED_STATEMENTS, Pool, close_once, dispose
from opportune.db.drivers.psycopg_timeouts import TimedConnection
from opportune.db.factory import open_database
from opportune.db.queries.dialects import read_database_time
from opportune.jobs.models import Job
from opportune.services.clock import clock

pytestmark = pytest.mark.database("postgresql")


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


@pytest.mark.parametrize("difference", [-3600, 3600])
async def test_process_follows_the_clock_of_the_database(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, difference: int, caplog: pytest.LogCaptureFixture
) -> None:
    machine_time = time.time
    monkeypatch.setattr(clock, "_started_at", None)
    monkeypatch.setattr("time.time", lambda: machine_time() + difference)
    for is_followed in (False, True):
        if is_followed:
            monkeypatch.delattr(clock, "compare")  # of `keep_time_of_tests`
        database = open_database(settings)
        async with database.reader() as session:
            is_same = abs(await read_database_time(session) - utc_now()) < timedelta(seconds=60)
        await database.dispose()
        assert (is_same, "the clock of this machine differs" in caplog.text) == (is_followed, is_followed)
    clock.compare(machine_time() - 56, delay_seconds=56)
    assert abs(clock.now() - machine_time()) < 5


def test_slow_first_response_corrects_a_wrong_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_started_at", None)
    monkeypatch.delattr(clock, "compare")  # of `keep_time_of_tests`
    clock.compare(time.time() + 3600, delay_seconds=20)
    assert clock.now() - time.time() > 3500


async def test_closed_connection_is_not_watched(database: Database) -> None:
    async with database.reader() as session:
        connection: Any = await (await session.connection()).get_raw_connection()
        socket = connection.driver_connection.pgconn.socket
        assert await session.scalar(select(literal(1))) == 1
        assert await session.scalar(select(literal(2))) == 2
    await database.reading_engine.dispose()
    assert not asyncio.get_running_loop().remove_reader(socket)


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
        assert await session.scalar(select(func.length("a" * 30_000_000))) == 30_000_000


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


@pytest.mark.parametrize("jobs", ["inline", "request", "worker"])
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


@pytest.mark.parametrize(
    ("message", "times"),
    [("the database system is starting up", 6), ("Couldn't connect to compute node", 6), ("Connection refused", 2)],
)
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
