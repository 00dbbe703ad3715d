"""Sessions and files of a database."""

import asyncio
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
from opportune.testing.plugin import settings_for


def make_user_row(email: str = "a@example.com") -> User:
    return User(email=email, hashed_password="none")


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
async def test_readers_after_a_lookup_are_read_only_snapshots(settings: Settings) -> None:
    single_connection = {"database_pool_size": 1, "database_max_overflow": 0}
    async with open_database(settings.model_copy(update=single_connection)) as database:
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
    async with open_database(database.settings) as other_database, database.writer() as session:
        session.add(make_user_row())
        await session.flush()
        await other_database.ping()


async def test_writer_sets_pragmas_of_sqlite(tmp_path: Path) -> None:
    async with open_database(settings_for(f"sqlite:///{tmp_path}/new/folder/a.db")) as database:
        await database.setup()
        async with database.writer() as session:
            pragmas = {
                name: (await session.execute(text(f"PRAGMA {name}"))).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 2000}


async def test_new_sqlite_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "data/app.db"
    async with open_database(settings_for(f"sqlite:///{path}")) as database:
        await database.setup()
        await database.ping()
    assert (stat.S_IMODE(path.parent.stat().st_mode), stat.S_IMODE(path.stat().st_mode)) == (0o700, 0o600)
