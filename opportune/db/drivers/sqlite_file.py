"""The file of a SQLite database."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from opportune.errors import OperatorError

# What SQLite keeps beside a file: logs with a part of its content, and an index of the first of them.
LOGS = ("-wal", "-journal")
SIDECARS = (*LOGS, "-shm")


def is_database(path: Path) -> bool:
    """Whether SQLite would open it: its own, or an empty one.

    SQLite itself looks, and leaves the log beside it alone. Were the file opened and closed past it, all locks of this
    process would be gone (POSIX), and the next program to leave the database would delete the log under our feet.
    """
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode != sqlite3.SQLITE_NOTADB
    return True


def make_private(path: Path, advice: str = "Set DATABASE_URL.") -> None:
    """Make the file and its folder for this user alone, before SQLite would make it readable for everybody.

    What is there stays as it is.

    Raises:
        OperatorError: they cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(f"The folder {path.parent} cannot be made ({error.strerror}). {advice}") from error
    try:
        if not path.exists():
            path.touch(mode=0o600)
    except OSError as error:
        raise OperatorError(f"The file {path} cannot be made ({error.strerror}). {advice}") from error


def discard(path: Path) -> None:
    """Remove a database with what SQLite keeps beside it."""
    path.unlink(missing_ok=True)
    discard_sidecars(path)


def discard_sidecars(path: Path) -> None:
    for suffix in SIDECARS:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def discard_unused(path: Path) -> None:
    """Remove a database that has nothing in it, and that nobody else has open."""
    with (
        suppress(sqlite3.Error, OSError),
        closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", timeout=0, isolation_level=None, uri=True)) as connection,
    ):
        connection.execute("PRAGMA journal_mode = DELETE")  # refused while somebody else has it open
        connection.execute("BEGIN EXCLUSIVE")
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            path.unlink()
