import asyncio
import os
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from opportune.application import create_app
from opportune.config.project import PROJECT
from opportune.db.drivers import sqlite_memory
from opportune.db.drivers.sqlite_memory import MemoryDatabase
from opportune.db.factory import open_database
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for

WORD = text("SELECT word FROM fact")


def write(path: Path, word: str) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("CREATE TABLE IF NOT EXISTS fact (word TEXT)")
        file.execute("DELETE FROM fact")
        file.execute("INSERT INTO fact VALUES (?)", (word,))


def remove(path: Path) -> None:
    path.unlink()


def content(path: Path) -> bytes | list[Path]:
    return path.read_bytes() if path.is_file() else list(path.iterdir())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "facts.db"
    write(path, "old")
    return path


def opened(path: Path, **options: Any) -> MemoryDatabase:
    database = open_database(settings_for(f"sqlite+memory:///{path}").model_copy(update=options))
    assert isinstance(database, MemoryDatabase)
    return database


@pytest.fixture
async def database(path: Path) -> AsyncIterator[MemoryDatabase]:
    database = opened(path)
    await database.setup()
    yield database
    await database.dispose()


async def word(database: MemoryDatabase) -> object:
    async with database.reader() as session:
        return await session.scalar(WORD)


def address(database: MemoryDatabase) -> str:
    return database._current().address


def is_freed(address: str) -> bool:
    """Memory that nobody has is made anew, empty, for who asks for it."""
    with closing(sqlite3.connect(address, uri=True)) as connection:
        return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


async def test_it_is_read_as_it_was_until_it_is_refreshed(database: MemoryDatabase, path: Path) -> None:
    write(path, "new")
    assert await word(database) == "old"
    await database.refresh()
    assert await word(database) == "new"


async def test_it_is_read_when_its_file_is_gone(database: MemoryDatabase, path: Path) -> None:
    remove(path)
    await database.ping()
    assert await word(database) == "old"


async def test_nothing_can_be_written(database: MemoryDatabase, path: Path) -> None:
    before = content(path)
    with pytest.raises(OperatorError, match=f"^sqlite.memory:///{path} is read into .* to sqlite:///{path}$"):
        database.writer()
    async with database.reader() as session:
        with pytest.raises(DBAPIError, match="readonly"):
            await session.execute(text("DELETE FROM fact"))
    assert content(path) == before


async def test_who_reads_ends_on_what_it_began_with_and_the_last_frees_it(database: MemoryDatabase, path: Path) -> None:
    first = address(database)
    async with database.reader() as one, database.reader() as another:
        assert [await one.scalar(WORD), await another.scalar(WORD)] == ["old", "old"]
        write(path, "new")
        await database.refresh()
        assert await word(database) == "new"
        assert [await one.scalar(WORD), await another.scalar(WORD)] == ["old", "old"]
        await another.close()
        assert not is_freed(first)
    assert is_freed(first)
    assert not is_freed(address(database))


async def test_who_waits_for_a_connection_gets_one_to_the_new_copy(path: Path) -> None:
    database = opened(path, database_pool_size=1, database_max_overflow=0)
    await database.setup()
    first = address(database)
    async with database.reader() as session:
        assert await session.scalar(WORD) == "old"
        waiting = asyncio.create_task(word(database))
        await asyncio.sleep(0)
        write(path, "new")
        await database.refresh()
        assert await word(database) == "new"
        assert not waiting.done()
    assert await waiting == "new"
    assert is_freed(first)
    second = address(database)
    await database.dispose()
    assert is_freed(second), "its connection went back to the pool that is no more"


async def test_refreshes_at_once_disturb_neither_one_another_nor_readers(database: MemoryDatabase, path: Path) -> None:
    addresses = {address(database)}
    seen: list[object] = []
    done = asyncio.Event()

    async def read() -> None:
        while not done.is_set():
            seen.append(await word(database))
            addresses.add(address(database))

    reading = [asyncio.create_task(read()) for _ in range(4)]
    write(path, "new")
    for _ in range(3):
        await asyncio.gather(database.refresh(), database.refresh())
    done.set()
    await asyncio.gather(*reading)
    assert set(seen) <= {"old", "new"}
    assert await word(database) == "new"
    assert [is_freed(each) for each in addresses - {address(database)}] == [True] * (len(addresses) - 1)


async def test_who_connects_while_the_pool_is_replaced_keeps_no_memory(
    database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispose = AsyncEngine.dispose

    async def dispose_slowly(engine: AsyncEngine) -> None:
        async with database.reader() as session:
            await session.scalar(WORD)
            await dispose(engine)

    monkeypatch.setattr(AsyncEngine, "dispose", dispose_slowly)
    await database.refresh()
    monkeypatch.undo()
    before = address(database)
    await database.refresh()
    assert is_freed(before)


async def test_a_refresh_waits_for_the_one_before_it_which_may_have_read_less(
    database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    read = sqlite_memory._read

    def told(url: DatabaseURL, address: str) -> sqlite_memory.MemorySnapshot:
        steps.append("begins")
        copy = read(url, address)
        steps.append("ends")
        return copy

    monkeypatch.setattr(sqlite_memory, "_read", told)
    await asyncio.gather(*(database.refresh() for _ in range(3)))
    assert steps == ["begins", "ends"] * 3


async def test_a_refresh_that_nobody_waits_for_is_done_all_the_same(database: MemoryDatabase, path: Path) -> None:
    write(path, "new")
    refreshing = asyncio.create_task(database.refresh())
    await asyncio.sleep(0)
    refreshing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await refreshing
    async with asyncio.timeout(10):
        while await word(database) != "new":
            await asyncio.sleep(0.01)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1000)


def spoil(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xaa" * 2000)


def replace_by_text(path: Path) -> None:
    path.write_text("Dear database, " * 100)


def empty(path: Path) -> None:
    os.truncate(path, 0)


SPOILED: list[tuple[Callable[[Path], None], str]] = [
    (remove, "The file {} does not exist. Check DATABASE_URL."),
    (cut, "{} is damaged. Restore a backup."),
    (spoil, "{} is damaged. Restore a backup."),
    (replace_by_text, "{} is not a SQLite database. Set DATABASE_URL to another file."),
    (empty, "{} is empty. Check DATABASE_URL."),
]


@pytest.mark.parametrize(("change", "line"), SPOILED, ids=["missing", "cut", "spoiled", "text", "empty"])
async def test_a_file_that_cannot_be_used_leaves_what_was_read_before(
    database: MemoryDatabase, path: Path, change: Callable[[Path], None], line: str
) -> None:
    before = address(database)
    change(path)
    with pytest.raises(OperatorError) as refusal:
        await database.refresh()
    assert str(refusal.value) == line.format(path)
    assert (address(database), await word(database)) == (before, "old")
    fresh = opened(path)
    with pytest.raises(OperatorError):
        await fresh.setup()
    await fresh.dispose()


async def test_a_file_that_is_too_large_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_memory, "MAX_FILE_BYTES", 4096)
    with pytest.raises(OperatorError, match=r"larger than the .* in memory\. Use sqlite:///"):
        await opened(path).setup()


async def test_what_another_process_is_writing_is_not_waited_for(database: MemoryDatabase, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE fact SET word = 'committed'")
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE fact SET word = 'not yet'")
        await database.refresh()
    assert await word(database) == "committed"


async def test_a_file_that_is_locked_is_not_waited_for_without_end(
    database: MemoryDatabase, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_memory, "LOCK_TIMEOUT_SECONDS", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OperatorError, match="is locked by another process"):
            await database.refresh()
    assert await word(database) == "old"


async def test_a_file_in_a_folder_that_cannot_be_written_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    database = opened(path)
    await database.setup()
    assert await word(database) == "old"
    assert content(path.parent) == [path], "no log was made beside it"
    await database.dispose()


async def test_a_ping_before_it_is_read_looks_at_the_file(path: Path) -> None:
    database = opened(path)
    await database.ping()
    remove(path)
    assert await database.failures(1) == {"writer": f"The file {path} does not exist. Check DATABASE_URL."}
    with pytest.raises(OperatorError, match="has not been read into memory"):
        await word(database)


async def test_disposing_frees_the_memory_and_can_be_repeated(path: Path) -> None:
    database = opened(path)
    await database.setup()
    assert await word(database) == "old"
    first = address(database)
    await database.dispose()
    await database.dispose()
    assert is_freed(first)


@pytest.mark.database("sqlite")
async def test_a_site_that_only_reads_says_so_to_who_wants_more(database_url: str) -> None:
    app = create_app(settings_for(database_url.replace("sqlite:", "sqlite+memory:")))
    browser = AsyncClient(transport=ASGITransport(app), base_url="http://testserver")
    async with app.router.lifespan_context(app), browser:
        assert [(await browser.get(page)).status_code for page in ("/", "/health", "/health/ready")] == [200] * 3
        form = {"email": "a@example.com", "password": "a long password"}
        answer = await browser.post("/accounts/login", data=form)
    assert answer.status_code == 503
    assert "This site is read-only" in answer.text


async def test_the_guides_second_database_serves_a_route(path: Path) -> None:
    guide = (PROJECT / "docs/databases.md").read_text(encoding="utf-8").partition("\n## In memory\n")[2]
    code = re.findall(r"^```python\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)[0]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the guide's own
    names["FACTS"] = f"sqlite+memory:///{path}"
    app = FastAPI(lifespan=names["lifespan"])
    app.include_router(names["router"])
    app.state.settings = settings_for("sqlite:///unused.db")
    browser = AsyncClient(transport=ASGITransport(app), base_url="http://testserver")
    async with app.router.lifespan_context(app), browser:
        assert (await browser.get("/api/facts")).json() == ["old"]
        write(path, "new")
        await app.state.facts.refresh()
        assert (await browser.get("/api/facts")).json() == ["new"]


async def test_a_session_is_an_ordinary_one(database: MemoryDatabase) -> None:
    async with database.reader() as session:
        assert isinstance(session, AsyncSession)
        result = await session.stream(WORD)
        assert [row.word async for row in result] == ["old"]


async def test_rows_without_a_session_are_those_of_the_newest_copy(path: Path, database: MemoryDatabase) -> None:
    before = await asyncio.gather(*(database.rows("SELECT word, :one AS one FROM fact", {"one": 1}) for _ in range(5)))
    address_before = address(database)
    write(path, "new")
    await database.refresh()
    after = await database.rows("SELECT word FROM fact", {})

    assert before == [[{"word": "old", "one": 1}]] * 5
    assert after == [{"word": "new"}]
    assert is_freed(address_before)


async def test_what_reads_rows_during_a_refresh_ends_on_the_old_copy_and_frees_it(
    path: Path, database: MemoryDatabase
) -> None:
    with database._borrow() as connection:
        before = address(database)
        write(path, "new")
        await database.refresh()
        assert connection.execute("SELECT word FROM fact").fetchall() == [("old",)]
        assert not is_freed(before)

    assert is_freed(before)


async def test_rows_are_only_read(database: MemoryDatabase) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await database.rows("DELETE FROM fact RETURNING word", {})
    assert await word(database) == "old"
