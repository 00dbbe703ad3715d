"""What visitors get while a SQLite file cannot be used, and right afterwards."""

import asyncio
import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.drivers import sqlite
from opportune.db.sessions.dependencies import ReadSession, WriteSession

pytestmark = pytest.mark.database("sqlite")


@pytest.fixture
def path(database_url: str) -> Path:
    return Path(database_url.removeprefix("sqlite:///"))


@pytest.fixture(autouse=True)
def hurry() -> Iterator[None]:
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

    assert await write_something(client) == 200
    caplog.clear()
    return client


async def write_something(visitor: AsyncClient) -> int:
    statement = "CREATE TABLE IF NOT EXISTS things AS SELECT zeroblob(50000)"
    return (await visitor.post("/api/write", params={"statement": statement})).status_code


async def insert(visitor: AsyncClient) -> int:
    statement = "INSERT INTO things SELECT zeroblob(50000)"
    answer = await visitor.post("/api/write", params={"statement": statement})
    assert answer.status_code in (200, 507) or answer.headers["retry-after"] == "2"
    return answer.status_code


async def test_a_file_that_another_process_writes_is_503_until_it_is_free(
    visitor: AsyncClient, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert set(await asyncio.gather(insert(visitor), insert(visitor))) == {503}
        assert (await visitor.get("/health")).status_code == 200, "the site still reads"
    assert await insert(visitor) == 200
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        f"database unavailable: {path} is locked by another process. Stop it or wait, then try again."
    ] * 2


async def test_full_disk_is_507_until_there_is_room(visitor: AsyncClient, app: FastAPI) -> None:
    async def allow(pages: str) -> None:
        async with app.state.database.writer() as session:
            await session.execute(text(f"PRAGMA max_page_count = {pages}"))

    await allow("1")  # which SQLite takes for as many as there are
    assert await insert(visitor) == 507
    count = {"statement": "SELECT count(*) FROM things"}
    assert (await visitor.get("/api/read", params=count)).json() == "1"
    await allow("1000000")
    assert await insert(visitor) == 200
    assert (await visitor.get("/api/read", params=count)).json() == "2"


async def test_a_file_that_cannot_be_written_is_503_until_it_can(visitor: AsyncClient, app: FastAPI) -> None:
    async def set_read_only(state: str) -> None:
        async with app.state.database.engine.connect() as connection:
            raw = await connection.get_raw_connection()
            await raw.driver_connection.execute(f"PRAGMA query_only = {state}")

    await set_read_only("ON")
    assert await insert(visitor) == 503
    await set_read_only("OFF")
    assert await insert(visitor) == 200


# Endless unless it is interrupted; if that fails, a minute is enough to see it.
ENDLESS = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 200000000) SELECT max(i) FROM n"


async def test_a_cancelled_request_ends_its_statement_and_returns_its_connection(
    visitor: AsyncClient, app: FastAPI
) -> None:
    database = app.state.database
    for method, path, engine in (
        ("GET", "/api/read", database.reading_engine),
        ("POST", "/api/write", database.engine),
    ):
        asking = asyncio.create_task(visitor.request(method, path, params={"statement": ENDLESS}))
        async with asyncio.timeout(10):
            while not engine.pool.checkedout():
                await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking}, timeout=20)
        assert asking.cancelled()
        assert engine.pool.checkedout() == 0
    assert await insert(visitor) == 200


@pytest.mark.parametrize(
    ("place", "words"), [(0, "is not a SQLite database"), (4096, "is damaged")], ids=["head", "body"]
)
async def test_a_damaged_file_is_503_and_the_log_says_so(
    path: Path, settings: Settings, place: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"\xaa" * 50_000)
    app = create_app(settings)
    client = AsyncClient(transport=ASGITransport(app), base_url="http://testserver")
    async with app.router.lifespan_context(app), client:
        answer = await client.post("/accounts/login", data={"email": "a@example.com", "password": "a long password"})
    assert answer.status_code == 503
    assert f"database unavailable: {path} {words}" in caplog.text


async def test_who_is_cancelled_again_and_again_leaves_no_lock_behind(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """As the scopes of anyio do it to a stream whose visitor goes."""
    async with database.writer() as session:
        await session.execute(text("CREATE TABLE thing (id INTEGER)"))

    async def write() -> None:
        async with database.writer() as session:
            await session.execute(text("INSERT INTO thing VALUES (1)"))
            await session.execute(text("INSERT INTO thing VALUES (2)"))

    async def cut(hops: int) -> None:
        task = asyncio.create_task(write())
        for _ in range(hops):
            await asyncio.sleep(0)
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait({task})

    before = asyncio.all_tasks()
    for _ in range(3):
        await asyncio.gather(*map(cut, range(0, 200, 10)))
    await write()
    async with asyncio.timeout(10):
        while asyncio.all_tasks() - before:  # closes that are under way come to their end
            await asyncio.sleep(0.01)
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # a pool that counts
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_new_file_that_somebody_else_is_making_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new.db"
    with closing(sqlite3.connect(path)) as first, closing(sqlite3.connect(path)) as second:
        first.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("time.sleep", lambda _seconds: first.rollback())

        sqlite.configure_sqlite(cast("Any", second))

        assert second.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_new_file_that_stays_locked_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with closing(sqlite3.connect(path)) as first, closing(sqlite3.connect(path)) as second:
        first.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            sqlite.configure_sqlite(cast("Any", second))
