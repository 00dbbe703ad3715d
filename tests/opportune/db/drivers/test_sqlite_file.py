"""Permissions, detection and removal of SQLite files, and Litestream beside the site."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from opportune.contrib.copydb.copy import copy
from opportune.db import Database, DatabaseUrl
from opportune.db.drivers.sqlite_file import discard_unused, has_other_format, make_private
from opportune.db.migrations.graph import MigrationGraph
from opportune.errors import OperatorError
from opportune.project.installed import installed_names
from tests.opportune.stored_rows import execute


def test_existing_file_keeps_mode_and_content(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    path.write_text("rows")
    path.chmod(0o640)
    tmp_path.chmod(0o755)
    make_private(path)
    assert (tmp_path.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o755, 0o640)
    assert path.read_text() == "rows"


def test_file_instead_of_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(OperatorError, match=r"^The folder .* cannot be created"):
        make_private(tmp_path / "a file/none/app.db")


def test_only_unused_empty_database_is_discarded(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    discard_unused(path)
    assert not path.exists()
    with closing(sqlite3.connect(path)) as other_connection:
        other_connection.execute("PRAGMA journal_mode = WAL")
        other_connection.execute("SELECT * FROM sqlite_master").fetchall()
        discard_unused(path)
        assert path.exists()
    discard_unused(path)
    assert not path.exists()
    with closing(sqlite3.connect(path)) as other_connection:
        other_connection.execute("CREATE TABLE notes (id)")
    discard_unused(path)
    assert path.exists()


@pytest.mark.parametrize(("content", "expected"), [(b"", False), (b"no database" * 500, True)])
def test_database_file_detection(tmp_path: Path, content: bytes, expected: bool) -> None:
    path = tmp_path / "site.db"
    path.write_bytes(content)
    assert has_other_format(path) is expected
    assert path.read_bytes() == content


def test_detection_keeps_the_locks_of_the_process(tmp_path: Path) -> None:
    path, log = tmp_path / "site.db", tmp_path / "site.db-wal"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE todo (id INTEGER)")
        assert not has_other_format(path)
        # The last process that closes the database deletes the WAL.
        script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM todo'); c.close()"
        subprocess.run([sys.executable, "-I", "-c", script, path], check=True)
        assert log.exists()


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
        await execute(database, text("CREATE TABLE pages (content BLOB)"))
        litestream.execute("BEGIN")
        litestream.execute("SELECT count(*) FROM _litestream_seq")  # a read transaction keeps the WAL
        salt = read_wal(path)[SALT]
        for _ in range(3):  # each exceeds the 1,000 pages of an automatic checkpoint
            await execute(database, text("INSERT INTO pages VALUES (zeroblob(6000000))"))
        assert read_wal(path)[SALT] == salt
        assert len(read_wal(path)) > 3 * 6_000_000
        litestream.execute("ROLLBACK")
        litestream.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(execute(database, text("DELETE FROM pages")))
        await asyncio.sleep(0)
        litestream.execute("ROLLBACK")
        await writing
    await execute(database, text("DROP TABLE pages"))
    # copydb ignores its tables.
    target = DatabaseUrl.parse(f"sqlite:///{tmp_path}/copy.db")
    copy(database.url, target, MigrationGraph(installed_names()))
    with closing(sqlite3.connect(target.path)) as copied:
        names = "SELECT name FROM sqlite_master WHERE name LIKE '!_litestream%' ESCAPE '!'"
        assert not copied.execute(names).fetchall()


def read_wal(path: Path) -> bytes:
    return path.with_name(f"{path.name}-wal").read_bytes()
