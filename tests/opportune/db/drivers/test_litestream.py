"""What Litestream, which copies each change of a SQLite file elsewhere, does to the file that the site has open."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from opportune.config.project import installed_names
from opportune.db.database import Database
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.url.database_url import DatabaseURL
from opportune.ops.copydb import copy

pytestmark = pytest.mark.database("sqlite")

SALT = slice(16, 24)
"""Of the header of SQLite's log: another one each time that the log is begun anew."""
TABLES = """
    CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER);
    CREATE TABLE _litestream_lock (id INTEGER);
    INSERT INTO _litestream_seq VALUES (1, 1);
"""


async def test_the_log_is_not_begun_anew_before_it_is_read_and_a_short_lock_is_waited_for(
    database: Database, tmp_path: Path
) -> None:
    path = database.url.path
    with closing(sqlite3.connect(path, isolation_level=None)) as litestream:
        litestream.executescript(TABLES)
        async with database.writer() as session:
            await session.execute(text("CREATE TABLE pages (content BLOB)"))
        litestream.execute("BEGIN")
        litestream.execute("SELECT count(*) FROM _litestream_seq")  # from here on the log is held
        salt = log_of(path)[SALT]
        for _ in range(3):  # each more than the 1000 pages after which SQLite writes them into the file by itself
            async with database.writer() as session:
                await session.execute(text("INSERT INTO pages VALUES (zeroblob(6000000))"))
        assert log_of(path)[SALT] == salt
        assert len(log_of(path)) > 3 * 6_000_000
        litestream.execute("ROLLBACK")
        litestream.execute("BEGIN IMMEDIATE")

        async def write() -> None:
            async with database.writer() as session:
                await session.execute(text("DELETE FROM pages"))

        writing = asyncio.create_task(write())
        await asyncio.sleep(0)
        litestream.execute("ROLLBACK")
        await writing
    async with database.writer() as session:
        await session.execute(text("DROP TABLE pages"))
    # Its tables are nobody's, and stop no copy.
    target = DatabaseURL.parse(f"sqlite:///{tmp_path}/copy.db")
    copy(database.url, target, MigrationGraph(installed_names()))
    with closing(sqlite3.connect(target.path)) as copied:
        assert not copied.execute(
            "SELECT name FROM sqlite_master WHERE name LIKE '!_litestream%' ESCAPE '!'"
        ).fetchall()


def log_of(path: Path) -> bytes:
    return path.with_name(f"{path.name}-wal").read_bytes()
