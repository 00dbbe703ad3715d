import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from opportune.db.drivers.sqlite_file import discard_unused, is_database, make_private
from opportune.errors import OperatorError


def test_what_is_there_keeps_its_mode_and_its_content(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    path.write_text("rows")
    path.chmod(0o640)
    tmp_path.chmod(0o755)
    make_private(path)
    assert (tmp_path.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o755, 0o640)
    assert path.read_text() == "rows"


@pytest.mark.parametrize("name", ["a file/app.db", "a file/none/app.db"])
def test_a_file_in_the_place_of_its_folder_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(OperatorError, match=r"^The folder .* cannot be created"):
        make_private(tmp_path / name)


def test_only_a_database_with_nothing_in_it_that_nobody_has_open_is_discarded(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    discard_unused(path)
    assert not path.exists()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("SELECT * FROM sqlite_master").fetchall()
        discard_unused(path)
        assert path.exists()
    discard_unused(path)
    assert not path.exists()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE notes (id)")
    discard_unused(path)
    assert path.exists()


@pytest.mark.parametrize(("content", "expected"), [(b"", True), (b"no database", False), (b"no database" * 500, False)])
def test_a_file_is_a_database_if_sqlite_would_open_it(tmp_path: Path, content: bytes, expected: bool) -> None:
    path = tmp_path / "site.db"
    path.write_bytes(content)

    assert is_database(path) is expected
    assert path.read_bytes() == content


def test_a_look_at_a_database_in_use_takes_no_lock_from_this_process(tmp_path: Path) -> None:
    path, log = tmp_path / "site.db", tmp_path / "site.db-wal"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE todo (id INTEGER)")

        assert is_database(path)

        # Whoever leaves the database as the last one deletes the log.
        another = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM todo'); c.close()"
        subprocess.run([sys.executable, "-I", "-c", another, path], check=True)
        assert log.exists()
