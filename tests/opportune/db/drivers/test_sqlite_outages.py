"""Responses while a SQLite file is unusable, and after it recovers."""

import asyncio
import logging
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.db import Database, ReadSession, WriteSession, open_database
from opportune.db.drivers import sqlite
from opportune.speedups.sqlite_driver import DRIVER
from opportune.testing.plugin import settings_for
from tests.opportune.stored_rows import execute, read_all
from tests.opportune.waiting import wait_until


@pytest.fixture
def path(database_url: str) -> Path:
    return Path(database_url.removeprefix("sqlite:///"))


@pytest.fixture(autouse=True)
def short_lock_timeout() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "BUSY_TIMEOUT_MS", 100)
        patch.setattr(sqlite, "SETTINGS", re.sub("busy_timeout = [0-9]+", "busy_timeout = 100", sqlite.SETTINGS))
        yield


@pytest.fixture
async def visitor(app: FastAPI, client: AsyncClient, caplog: pytest.LogCaptureFixture) -> AsyncClient:
    @app.post("/api/write")
    async def write(session: WriteSession, statement: str) -> None:
        await session.execute(text(statement))

    @app.get("/api/read")
    async def read(session: ReadSession, statement: str) -> str:
        return str(await session.scalar(text(statement)))

    creation = {"statement": "CREATE TABLE things AS SELECT zeroblob(50000)"}
    assert (await client.post("/api/write", params=creation)).status_code == 200
    caplog.clear()
    return client


async def insert(visitor: AsyncClient) -> int:
    statement = "INSERT INTO things SELECT zeroblob(50000)"
    response = await visitor.post("/api/write", params={"statement": statement})
    assert response.status_code in (200, 507) or response.headers["retry-after"] == "2"
    return response.status_code


async def test_lock_is_503_until_it_is_free(visitor: AsyncClient, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other_process:
        other_process.execute("BEGIN IMMEDIATE")
        assert set(await asyncio.gather(insert(visitor), insert(visitor))) == {503}
        assert (await visitor.get("/health")).status_code == 200
    assert await insert(visitor) == 200
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    fault = f"database unavailable: {path} is locked by another process."
    assert errors == [f"{fault} Stop it or wait, then try again."] * 2


async def test_full_disk_is_507_until_there_is_room(visitor: AsyncClient, app: FastAPI) -> None:
    async def allow(pages: str) -> None:
        await execute(app, text(f"PRAGMA max_page_count = {pages}"))

    await allow("1")  # SQLite raises it to the current size
    assert await insert(visitor) == 507
    count = {"statement": "SELECT count(*) FROM things"}
    assert (await visitor.get("/api/read", params=count)).json() == "1"
    await allow("1000000")
    assert await insert(visitor) == 200
    assert (await visitor.get("/api/read", params=count)).json() == "2"


@pytest.fixture(params=[DRIVER, ""], ids=["with speed-ups", "without speed-ups"])
async def file_database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    monkeypatch.setattr(sqlite, "speedup", lambda *_: request.param)
    async with open_database(settings_for(f"sqlite:///{tmp_path}/test.db")) as database:
        await execute(database, text("CREATE TABLE thing (content PRIMARY KEY, other REFERENCES thing)"))
        yield database


async def run(database: Database, *statements: str) -> None:
    """Run statements in a transaction, which continues after failed ones."""
    async with database.writer() as session:
        for statement in statements:
            with suppress(OperationalError):
                await session.execute(text(statement))


async def read_contents(database: Database) -> list[str]:
    return await read_all(database, text("SELECT content FROM thing"))


async def test_transaction_rolled_back_by_sqlite_ends(file_database: Database) -> None:
    insertion = "INSERT INTO thing (content) VALUES "
    values = ("('first')", "(zeroblob(50000))", "('last')")
    with pytest.raises(OperationalError, match="full"):
        await run(file_database, "PRAGMA max_page_count = 1", *(insertion + value for value in values))
    await run(file_database, insertion + "('next')")
    assert await read_contents(file_database) == ["next"]


async def test_failed_commit_is_rolled_back(file_database: Database) -> None:
    insertion = "INSERT INTO thing VALUES ('one', 'missing')"
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        await run(file_database, "PRAGMA defer_foreign_keys = ON", insertion)
    await run(file_database, "INSERT INTO thing VALUES ('two', NULL)")
    assert await read_contents(file_database) == ["two"]


# Endless unless interrupted. If that fails, it ends after about a minute.
ENDLESS = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 200000000) SELECT max(i) FROM n"


async def test_cancelled_request_returns_its_connection(visitor: AsyncClient, app: FastAPI) -> None:
    database = app.state.database
    requests = {"/api/read": ("GET", database.reading_engine), "/api/write": ("POST", database.engine)}
    for path, (method, engine) in requests.items():
        request = asyncio.create_task(visitor.request(method, path, params={"statement": ENDLESS}))
        await wait_until(engine.pool.checkedout)
        request.cancel()
        await asyncio.wait({request}, timeout=20)
        assert request.cancelled()
        assert engine.pool.checkedout() == 0
    assert await insert(visitor) == 200


async def test_damaged_file_is_503_and_logged(path: Path, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xaa" * 50_000)
    app = create_app(settings)
    client = AsyncClient(transport=ASGITransport(app), base_url="http://testserver")
    async with app.router.lifespan_context(app), client:
        response = await client.post("/accounts/login", data={"email": "a@example.com", "password": "a long password"})
    assert response.status_code == 503
    assert f"database unavailable: {path} is damaged" in caplog.text


@pytest.fixture
def has_speedups(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.config.speedups.are_on", lambda: request.param)


@pytest.mark.parametrize("has_speedups", [True, False], indirect=True, ids=["fast", "plain"])
async def test_repeated_cancellation_leaves_no_lock(
    has_speedups: None, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    # anyio cancels a stream repeatedly when its client disconnects.
    await execute(database, text("CREATE TABLE thing (id INTEGER)"))

    async def write() -> None:
        async with database.writer() as session:
            await session.execute(text("INSERT INTO thing VALUES (1)"))
            await session.execute(text("INSERT INTO thing VALUES (2)"))

    async def cancel_repeatedly(hops: int) -> None:
        task = asyncio.create_task(write())
        for _ in range(hops):
            await asyncio.sleep(0)
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait({task})

    existing_tasks = asyncio.all_tasks()
    await asyncio.gather(*map(cancel_repeatedly, range(0, 200, 10)))
    await write()
    async with asyncio.timeout(30):
        while asyncio.all_tasks() - existing_tasks:  # closing in the background
            await asyncio.sleep(0.01)
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # a pool that counts
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("driver", ["sqlite+closing", DRIVER], ids=["plain", "fast"])
async def test_cancelled_connect_leaves_no_connection_open(driver: str, tmp_path: Path) -> None:
    engine = create_async_engine(f"{driver}:///{tmp_path}/test.db")
    dialect: Any = engine.dialect
    open_connection, connections = dialect.connection_class, []

    def record(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connections.append(open_connection(*arguments, **options))
        return cast("sqlite3.Connection", connections[-1])

    async def read() -> None:
        async with engine.connect() as connection:
            await connection.scalar(text("SELECT 1"))

    dialect.connection_class = record
    for steps in range(20):
        task = asyncio.create_task(read())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
    await engine.dispose()
    assert connections
    await wait_until(lambda: not any(map(is_open, connections)))  # threads are ending


def is_open(connection: sqlite3.Connection) -> bool:
    try:
        return connection.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False


def test_new_file_waits_for_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new.db"
    with closing(sqlite3.connect(path)) as writer, closing(sqlite3.connect(path)) as connection:
        writer.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("time.sleep", lambda _seconds: writer.rollback())
        sqlite.configure_sqlite(cast("Any", connection))
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
