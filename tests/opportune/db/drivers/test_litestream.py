"""Litestream, which replicates a SQLite file, works beside the site."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import text

from opportune.contrib.copydb.copy import copy
from opportune.db.database import Database
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.url.database_url import DatabaseUrl
from opportune.project.layout import installed_names

SALT = slice(16, 24)
"""Bytes of the WAL header that change when SQLite restarts the WAL."""
TABLES = """
    CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER);
    CREATE TABLE _litestream_lock (id INTEGER);
    INSERT INTO _litestream_seq VALUES (1, 1);
"""


async def test_wal_is_kept_for_litestream(database: Database, tmp_path: Path) -> None:
    path = database.url.path
    with closing(sqlite3.connect(path, isolation_level=None)) as litestream:
        litestream.executescript(TABLES)
        async with database.writer() as session:
            await session.execute(text("CREATE TABLE pages (content BLOB)"))
        litestream.execute("BEGIN")
        litestream.execute("SELECT count(*) FROM _litestream_seq")  # a read transaction keeps the WAL
        salt = read_wal(path)[SALT]
        for _ in range(3):  # each exceeds the 1,000 pages of an automatic checkpoint
            async with database.writer() as session:
                await session.execute(text("INSERT INTO pages VALUES (zeroblob(6000000))"))
        assert read_wal(path)[SALT] == salt
        assert len(read_wal(path)) > 3 * 6_000_000
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
    # copydb ignores its tables.
    target = DatabaseUrl.parse(f"sqlite:///{tmp_path}/copy.db")
    copy(database.url, target, MigrationGraph(installed_names()))
    with closing(sqlite3.connect(target.path)) as copied:
        assert not copied.execute(
            "SELECT name FROM sqlite_master WHERE name LIKE '!_litestream%' ESCAPE '!'"
        ).fetchall()


def read_wal(path: Path) -> bytes:
    return path.with_name(f"{path.name}-wal").read_bytes()
