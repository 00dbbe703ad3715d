"""File of a SQLite database."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from opportune.errors import OperatorError

# Files beside the database: logs, which hold part of its content, and the index of the WAL.
LOGS = ("-wal", "-journal")
SIDECARS = (*LOGS, "-shm")


def has_other_format(path: Path) -> bool:
    """Return whether a file is not a SQLite database. An empty file is one, and a file that cannot be read may be one.

    SQLite itself reads the file and does not touch the WAL. Opening and closing the file with Python would release
    all POSIX locks of this process, and another process could then delete the WAL.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode == sqlite3.SQLITE_NOTADB
    return False


def is_locked(error: sqlite3.OperationalError) -> bool:
    """Return whether another connection has locked the database."""
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def make_private(path: Path, advice: str = "Set DATABASE_URL.") -> None:
    """Create the file and its folder with permissions for this user only. SQLite would make the file world-readable.

    Existing files and folders are not changed. `advice` ends the error message.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(f"The folder {path.parent} cannot be created ({error.strerror}). {advice}") from error
    try:
        if not path.exists():
            path.touch(mode=0o600)
    except OSError as error:
        raise OperatorError(f"The file {path} cannot be created ({error.strerror}). {advice}") from error


def discard(path: Path) -> None:
    """Remove a database and the files beside it."""
    path.unlink(missing_ok=True)
    discard_sidecars(path)


def discard_sidecars(path: Path) -> None:
    for suffix in SIDECARS:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def discard_unused(path: Path) -> None:
    """Remove an empty database that no other process has open."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    with (
        suppress(sqlite3.Error, OSError),
        closing(sqlite3.connect(uri, timeout=0, isolation_level=None, uri=True)) as connection,
    ):
        connection.execute("PRAGMA journal_mode = DELETE")  # fails while another process has it open
        connection.execute("BEGIN EXCLUSIVE")
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            path.unlink()
