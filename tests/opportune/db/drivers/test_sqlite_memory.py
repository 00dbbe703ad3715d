"""Read-only snapshot of a SQLite file in memory."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from opportune.application import create_app
from opportune.db import MemoryDatabase, open_database
from opportune.db.drivers import sqlite_memory
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for
from tests.opportune.guides import code_blocks, read_guide, run_code
from tests.opportune.site_with import client_of

WORD = text("SELECT word FROM fact")


def write(path: Path, word: str) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("CREATE TABLE IF NOT EXISTS fact (word TEXT)")
        file.execute("DELETE FROM fact")
        file.execute("INSERT INTO fact VALUES (?)", (word,))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "facts.db"
    write(path, "old")
    return path


def open_memory(path: Path, **options: Any) -> MemoryDatabase:
    database = open_database(settings_for(f"sqlite+memory:///{path}").model_copy(update=options))
    assert isinstance(database, MemoryDatabase)
    return database


@pytest.fixture
async def database(path: Path) -> AsyncIterator[MemoryDatabase]:
    async with open_memory(path) as database:
        await database.setup()
        yield database


async def read_word(database: MemoryDatabase) -> object:
    async with database.reader() as session:
        return await session.scalar(WORD)


def read_address(database: MemoryDatabase) -> str:
    return database._current_snapshot().uri


def is_freed(address: str) -> bool:
    """Return whether the memory was freed. Connecting to freed memory creates an empty database."""
    with closing(sqlite3.connect(address, uri=True)) as connection:
        return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


async def test_memory_database_is_read_only(database: MemoryDatabase, path: Path) -> None:
    with pytest.raises(OperatorError, match=f"^sqlite.memory:///{path} is read into .* to sqlite:///{path}$"):
        database.writer()
    async with database.reader() as session:
        with pytest.raises(DBAPIError, match="readonly"):
            await session.execute(text("DELETE FROM fact"))
    await database.refresh()
    assert await read_word(database) == "old"


async def test_open_sessions_keep_the_old_snapshot(database: MemoryDatabase, path: Path) -> None:
    old_address = read_address(database)
    async with database.reader() as session, database.reader() as closed_session:
        assert [await session.scalar(WORD), await closed_session.scalar(WORD)] == ["old", "old"]
        write(path, "new")
        await database.refresh()
        assert await read_word(database) == "new"
        assert [await session.scalar(WORD), await closed_session.scalar(WORD)] == ["old", "old"]
        await closed_session.close()
        assert not is_freed(old_address)
    assert is_freed(old_address)
    assert not is_freed(read_address(database))


async def test_refreshes_run_one_after_another(database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    read = sqlite_memory.read_snapshot

    def record(*arguments: Any) -> Any:
        steps.append("begins")
        copy = read(*arguments)
        steps.append("ends")
        return copy

    monkeypatch.setattr("opportune.db.drivers.sqlite_memory.read_snapshot", record)
    await asyncio.gather(*(database.refresh() for _ in range(3)))
    assert steps == ["begins", "ends"] * 3


async def test_cancelled_refresh_still_finishes(database: MemoryDatabase, path: Path) -> None:
    write(path, "new")
    refreshing = asyncio.create_task(database.refresh())
    await asyncio.sleep(0)
    refreshing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await refreshing
    async with asyncio.timeout(30):
        while await read_word(database) != "new":
            await asyncio.sleep(0.01)


async def test_cancelled_dispose_still_finishes(database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = asyncio.Event()

    async def close() -> None:
        closed.set()

    monkeypatch.setattr(database.bus, "close", close)
    await read_word(database)
    address = read_address(database)
    disposing = asyncio.create_task(database.dispose())
    await asyncio.sleep(0)
    disposing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await disposing
    async with asyncio.timeout(30):
        await closed.wait()
    assert is_freed(address)


@pytest.mark.parametrize("free", [MemoryDatabase.clear, MemoryDatabase.dispose])
async def test_freed_database_can_be_read_again(database: MemoryDatabase, free: Callable[..., Any]) -> None:
    address = read_address(database)
    await database.rows("SELECT word FROM fact", {})
    await free(database)
    assert is_freed(address)
    await database.refresh()
    assert await database.rows("SELECT word FROM fact", {}) == [{"word": await read_word(database)}]


DAMAGED: list[tuple[Callable[[Path], object], str]] = [
    (Path.unlink, "The file {} does not exist. Check DATABASE_URL."),
    (lambda path: os.truncate(path, path.stat().st_size - 1000), "{} is damaged. Restore a backup."),
    (lambda path: path.write_text("text" * 400), "{} is not a SQLite database. Set DATABASE_URL to another file."),
]


@pytest.mark.parametrize(("change", "message"), DAMAGED, ids=["missing", "truncated", "text"])
async def test_failed_refresh_keeps_the_old_snapshot(
    database: MemoryDatabase, path: Path, change: Callable[[Path], object], message: str
) -> None:
    old_address = read_address(database)
    change(path)
    with pytest.raises(OperatorError) as error:
        await database.refresh()
    assert str(error.value) == message.format(path)
    assert (read_address(database), await read_word(database)) == (old_address, "old")
    async with open_memory(path) as new_database:
        with pytest.raises(OperatorError):
            await new_database.setup()


async def test_too_large_file_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_memory, "MAX_FILE_BYTES", 4096)
    with pytest.raises(OperatorError, match=r"larger than the .* in memory\. Use sqlite:///"):
        await open_memory(path).setup()


async def test_locked_file_times_out(database: MemoryDatabase, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_memory, "LOCK_TIMEOUT_SECONDS", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = DELETE")
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OperatorError, match="is locked by another process"):
            await database.refresh()
    assert await read_word(database) == "old"


async def test_file_in_read_only_folder_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    async with open_memory(path) as database:
        await database.setup()
        assert await read_word(database) == "old"
        assert [*path.parent.iterdir()] == [path]


async def test_read_only_site_refuses_writes(database_url: str) -> None:
    app = create_app(settings_for(database_url.replace("sqlite:", "sqlite+memory:")))
    async with app.router.lifespan_context(app), client_of(app) as browser:
        assert [(await browser.get(page)).status_code for page in ("/", "/health", "/health/ready")] == [200] * 3
        form = {"email": "a@example.com", "password": "a long password"}
        response = await browser.post("/accounts/login", data=form)
    assert response.status_code == 503
    assert "This site is read-only" in response.text


async def test_guide_example_of_memory_database(path: Path) -> None:
    guide = read_guide("databases.md").partition("\n## In memory\n")[2]
    code = code_blocks(guide)[0]
    names = run_code(code)
    names["FACTS"] = f"sqlite+memory:///{path}"
    app = FastAPI(lifespan=names["lifespan"])
    app.include_router(names["router"])
    app.state.settings = settings_for("sqlite:///unused.db")
    async with app.router.lifespan_context(app), client_of(app) as browser:
        assert (await browser.get("/api/facts")).json() == ["old"]
        write(path, "new")
        await app.state.facts.refresh()
        assert (await browser.get("/api/facts")).json() == ["new"]


async def test_rows_read_the_newest_snapshot(path: Path, database: MemoryDatabase) -> None:
    statement = "SELECT word, :one AS one FROM fact"
    old_rows = await asyncio.gather(*(database.rows(statement, {"one": 1}) for _ in range(5)))
    old_address = read_address(database)
    write(path, "new")
    await database.refresh()
    new_rows = await database.rows("SELECT word FROM fact", {})
    assert old_rows == [[{"word": "old", "one": 1}]] * 5
    assert new_rows == [{"word": "new"}]
    assert is_freed(old_address)


async def test_rows_during_refresh_use_the_old_snapshot(path: Path, database: MemoryDatabase) -> None:
    with database._borrow() as connection:
        old_address = read_address(database)
        write(path, "new")
        await database.refresh()
        assert connection.execute("SELECT word FROM fact").fetchall() == [("old",)]
        assert not is_freed(old_address)
    assert is_freed(old_address)


async def test_rows_cannot_write(database: MemoryDatabase) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await database.rows("DELETE FROM fact RETURNING word", {})
    assert await read_word(database) == "old"
