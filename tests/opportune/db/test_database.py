"""Sessions of a database, and error messages for unreachable databases."""

import asyncio
import os
import stat
from pathlib import Path

import pytest
from sqlalchemy import bindparam, event, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.factory import open_database
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for


def make_user_row(email: str = "a@example.com") -> User:
    return User(email=email, hashed_password="none")


async def count_users(database: Database) -> int:
    async with database.reader() as session:
        return await session.scalar(select(func.count()).select_from(User)) or 0


@pytest.mark.database("sqlite", "postgresql")
async def test_writer_commits_at_the_end(database: Database) -> None:
    async with database.writer() as session:
        session.add(make_user_row())
        await session.flush()
        assert await count_users(database) == 0
    assert await count_users(database) == 1


async def test_writer_rolls_back_after_an_error(database: Database) -> None:
    async def fail() -> None:
        async with database.writer() as session:
            session.add(make_user_row())
            await session.flush()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await fail()
    assert await count_users(database) == 0


@pytest.mark.database("sqlite", "postgresql")
async def test_reader_cannot_write(database: Database) -> None:
    async with database.reader() as session:
        with pytest.raises(DBAPIError):
            await session.execute(text("UPDATE accounts_user SET email = 'x'"))


@pytest.mark.database("sqlite", "postgresql")
async def test_reader_sees_one_snapshot(database: Database) -> None:
    async with database.reader() as reader:
        assert (await reader.execute(select(func.count()).select_from(User))).scalar() == 0
        async with database.writer() as writer:
            writer.add(make_user_row())
        assert (await reader.execute(select(func.count()).select_from(User))).scalar() == 0
    assert await count_users(database) == 1


@pytest.mark.database("sqlite", "postgresql")
async def test_lookup_returns_row_or_none(database: Database) -> None:
    by_email = select(col(User.id), col(User.email)).where(col(User.email) == bindparam("email"))
    assert await database.lookup(by_email, {"email": "a@example.com"}) is None
    async with database.writer() as session:
        session.add(make_user_row())
    row = await database.lookup(by_email, {"email": "a@example.com"})
    assert row is not None
    assert row[1] == "a@example.com"


@pytest.mark.database("sqlite", "postgresql")
async def test_lookup_does_not_affect_later_readers(settings: Settings) -> None:
    database = open_database(settings.model_copy(update={"database_pool_size": 1, "database_max_overflow": 0}))
    await database.lookup(select(func.count()).select_from(User), {})
    async with database.reader() as session:
        session.add(make_user_row())
        with pytest.raises(DBAPIError, match="read"):
            await session.flush()
    async with database.reader() as session:
        count_before = await session.scalar(select(func.count()).select_from(User))
        async with database.writer() as writer:
            writer.add(make_user_row())
        assert await session.scalar(select(func.count()).select_from(User)) == count_before
    await database.dispose()


@pytest.mark.database("sqlite", "postgresql")
async def test_concurrent_writers_lose_no_update(database: Database) -> None:
    async with database.writer() as session:
        session.add(make_user_row("0"))

    async def increment() -> None:
        for _ in range(10):
            async with database.writer() as session:
                row = (await session.scalars(select(User).with_for_update())).one()
                row.email = str(int(row.email) + 1)

    await asyncio.gather(*(increment() for _ in range(5)))
    async with database.reader() as session:
        assert (await session.scalars(select(User.email))).one() == "50"  # type: ignore[call-overload]  # a column here


@pytest.mark.database("sqlite", "postgresql")
async def test_session_after_dispose_closes_its_connection(settings: Settings) -> None:
    database = open_database(settings)
    is_open: list[object] = []
    for engine in (database.reading_engine, database.engine):
        event.listen(engine.sync_engine.pool, "connect", lambda connection, _: is_open.append(connection))
        event.listen(engine.sync_engine.pool, "close", lambda connection, _: is_open.remove(connection))
    async with database.reader() as reader, database.writer() as writer:
        for session in (reader, writer):
            await session.execute(select(func.count()).select_from(User))
        await database.dispose()
        assert len(is_open) == 2
    assert is_open == []


@pytest.mark.database("sqlite", "postgresql")
async def test_ping_needs_no_write_lock(database: Database) -> None:
    other_database = open_database(database.settings)
    async with database.writer() as session:
        session.add(make_user_row())
        await session.flush()
        await other_database.ping()
    await other_database.dispose()


async def test_writer_sets_pragmas_of_sqlite(tmp_path: Path) -> None:
    database = open_database(settings_for(f"sqlite:///{tmp_path}/new/folder/a.db"))
    await database.setup()
    async with database.writer() as session:
        pragmas = {
            name: (await session.execute(text(f"PRAGMA {name}"))).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    await database.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 2000}


async def find_ping_error(url: str) -> str:
    """Return the error message of a ping. It has no line break."""
    database = open_database(settings_for(url))
    try:
        await database.setup()
        with pytest.raises(OperatorError) as error:
            await database.ping()
    finally:
        await database.dispose()
    message = str(error.value)
    assert "\n" not in message
    return message


async def test_unreachable_server_is_named() -> None:
    assert "No server responds at 127.0.0.1:1." in await find_ping_error("postgresql://me:hidden@127.0.0.1:1/d")


async def test_unknown_host_is_named() -> None:
    assert "host of nowhere.invalid:5432 is unknown" in await find_ping_error(
        "postgresql://me:hidden@nowhere.invalid/d"
    )


@pytest.mark.database("postgresql")
async def test_wrong_password_is_not_shown(database_url: str) -> None:
    url = DatabaseUrl.parse(database_url).url.set(password="hidden").render_as_string(hide_password=False)
    message = await find_ping_error(url)
    assert "refuses the password" in message
    assert "hidden" not in message


@pytest.mark.database("postgresql")
async def test_missing_database_is_named(database_url: str) -> None:
    url = DatabaseUrl.parse(database_url).url.set(database="nosuch").render_as_string(hide_password=False)
    assert "has no database 'nosuch'" in await find_ping_error(url)


async def test_invalid_database_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear database, " * 100)
    assert f"{path} is not a SQLite database" in await find_ping_error(f"sqlite:///{path}")


async def test_folder_instead_of_file_is_named(tmp_path: Path) -> None:
    assert "cannot open" in await find_ping_error(f"sqlite:///{tmp_path}")


async def test_folder_that_cannot_be_created_is_named() -> None:
    with pytest.raises(OperatorError, match="cannot be created"):
        await open_database(settings_for(f"sqlite:///{os.devnull}/x/a.db")).setup()


async def test_server_without_postgresql_is_named() -> None:
    async def respond(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        message = await find_ping_error(f"postgresql://me:hidden@127.0.0.1:{port}/d?sslmode=require")
    assert f"The server at 127.0.0.1:{port} is not PostgreSQL" in message


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("host=/nowhere", "No server responds at /nowhere:5432."),
        ("host=127.0.0.1&connect_timeout=soon", "has a value that libpq does not accept"),
    ],
)
async def test_invalid_options_are_named(query: str, message: str) -> None:
    assert message in await find_ping_error(f"postgresql:///d?{query}")


async def test_new_sqlite_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "data/app.db"
    database = open_database(settings_for(f"sqlite:///{path}"))
    await database.setup()
    await database.ping()
    await database.dispose()
    assert (stat.S_IMODE(path.parent.stat().st_mode), stat.S_IMODE(path.stat().st_mode)) == (0o700, 0o600)
