"""Permissions, detection and removal of SQLite files."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from opportune.db.drivers.sqlite_file import discard_unused, is_database, make_private
from opportune.errors import OperatorError


def test_existing_file_keeps_mode_and_content(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    path.write_text("rows")
    path.chmod(0o640)
    tmp_path.chmod(0o755)
    make_private(path)
    assert (tmp_path.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o755, 0o640)
    assert path.read_text() == "rows"


@pytest.mark.parametrize("name", ["a file/app.db", "a file/none/app.db"])
def test_file_instead_of_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(OperatorError, match=r"^The folder .* cannot be created"):
        make_private(tmp_path / name)


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


@pytest.mark.parametrize(("content", "expected"), [(b"", True), (b"no database", False), (b"no database" * 500, False)])
def test_database_file_detection(tmp_path: Path, content: bytes, expected: bool) -> None:
    path = tmp_path / "site.db"
    path.write_bytes(content)

    assert is_database(path) is expected
    assert path.read_bytes() == content


def test_detection_keeps_the_locks_of_the_process(tmp_path: Path) -> None:
    path, log = tmp_path / "site.db", tmp_path / "site.db-wal"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE todo (id INTEGER)")

        assert is_database(path)

        # The last process that closes the database deletes the WAL.
        script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM todo'); c.close()"
        subprocess.run([sys.executable, "-I", "-c", script, path], check=True)
        assert log.exists()
