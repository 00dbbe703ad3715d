"""Databases that suspend when idle: an idle site sends no statements, and retries while they wake up."""

import asyncio
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import OperationalError
from sqlalchemy import update

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.db.drivers import psycopg_timeouts
from opportune.db.drivers.psycopg_timeouts import TimedConnection
from opportune.db.models.model import utc_now
from opportune.jobs.models import Job

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


@pytest.mark.database("postgresql")
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
async def test_connect_retries_until_database_wakes_up(
    monkeypatch: pytest.MonkeyPatch, message: str, times: int
) -> None:
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
