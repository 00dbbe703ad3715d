"""SQLite: a snapshot of a live database, the check of a file, and the replacement of one file by another."""

import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from opportune.db.drivers.sqlite_file import LOGS, discard_sidecars, is_database
from opportune.errors import OperatorError
from opportune.runtime.atomic_files import put, temporary, unused
from opportune.runtime.progress import work

LOCK_TIMEOUT_SECONDS = 1.0  # seconds; who has the database open for good is not waited for
PAGES_PER_STEP = 4096
VIRTUAL = "CREATE VIRTUAL"
KEPT_SUFFIX = ".before-restore"

# Where SQLite's locks on a file are, whatever the file holds (https://sqlite.org/fileformat2.html#lockbyte).
FIRST_SHARED_BYTE = 0x40000002
SHARED_BYTES = 510


@dataclass(frozen=True)
class DatabaseState:
    """What a database is a state of."""

    revisions: list[str]
    tables: list[str]
    rows: dict[str, int]
    """The number of each table's."""


def snapshot(source: Path, target: Path) -> None:
    """Copy one moment of a database that others go on writing into an empty file.

    Raises:
        sqlite3.Error: it is locked, damaged or none, or the disk is full.
    """
    with closing(_open(source)) as live, closing(_open(target)) as copy:
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("PRAGMA journal_mode = OFF")
        # With a transaction of ours open, what others write neither starts the copy again nor is waited for.
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_master")
        with work("Copying the database", unit="steps") as progress:
            live.backup(copy, pages=PAGES_PER_STEP, progress=lambda *_: progress.advance())  # which lets Ctrl-C through
    merge_wal(target)


def merge_wal(path: Path) -> None:
    """Bring all of a database into its one file."""
    with closing(_open(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def inspect_database(path: Path) -> DatabaseState:
    """Check the whole file and tell what it is.

    Raises:
        OperatorError: it is damaged.
    """
    try:
        with closing(_open(path)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name")
            made = {name: sql for name, sql in found if not name.startswith("sqlite_")}
            tables = list(made)
            rows = connection.execute("SELECT version_num FROM alembic_version") if "alembic_version" in tables else ()
            revisions = sorted(revision for (revision,) in rows)
            # What is virtual may want an extension, and has its rows in other tables.
            counts = {name: _count(connection, name) for name in tables if not made[name].startswith(VIRTUAL)}
    except sqlite3.DatabaseError as error:
        raise OperatorError(f"The SQLite database in it cannot be used: {error}.") from error
    if verdict != "ok":
        raise OperatorError(f"The SQLite database in it is damaged: {str(verdict).splitlines()[0]}.")
    return DatabaseState(revisions, tables, counts)


def _count(connection: sqlite3.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    (number,) = connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()
    return int(number)


def replace_database(new: Path, path: Path) -> Path | None:
    """Put a database in the place of another, and give the path under which the old one is kept.

    Killed at any moment it leaves the one or the other, whole.

    Raises:
        OperatorError: somebody has the old one open.
    """
    if not path.exists():
        discard_sidecars(path)
        put(new, path)
        return None
    with _alone(path):
        _resemble(path, new)
        kept = _keep(path)
        discard_sidecars(path)  # or SQLite would add them to the new one
        put(new, path)
    return kept


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep everybody else out. What stood in the log is in the file then, and there is no log any more."""
    if not is_database(path):  # SQLite would throw its log away
        _refuse_locked(path)
        yield
        return
    connection = sqlite3.connect(path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None)
    try:
        try:
            # Refused while anybody else has the database open, even without doing anything.
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise OperatorError(_refusal(path, error)) from error
        except sqlite3.DatabaseError:  # damaged: a reason to restore
            connection.close()
            _refuse_locked(path)
        if sys.platform == "win32":  # which replaces no file that is open
            connection.close()
        yield
    finally:
        connection.close()


def _refusal(path: Path, error: sqlite3.OperationalError) -> str:
    if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"{path} is in use: stop the server and whatever else has it open, then run this again."
    return f"{path} cannot be replaced: {error}. May this user write to it and its folder?"


def _refuse_locked(path: Path) -> None:
    """What SQLite cannot tell of a damaged file: whether anybody has it open."""
    if sys.platform == "win32":
        return
    import fcntl

    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, SHARED_BYTES, FIRST_SHARED_BYTE)
        except OSError as error:
            raise OperatorError(
                f"{path} is in use: stop the server and whatever else has it open, then run this again."
            ) from error


def _resemble(old: Path, new: Path) -> None:
    """Give the new file the old one's mode and owner: who restores as root does not lock the server out."""
    was = old.stat()
    new.chmod(was.st_mode & 0o777)
    if sys.platform != "win32" and os.geteuid() == 0:
        os.chown(new, was.st_uid, was.st_gid)


def _keep(path: Path) -> Path:
    """Link the database under a name that keeps the one of an earlier restore."""
    kept = path.with_name(path.name + KEPT_SUFFIX)
    if not (kept.exists() and kept.samefile(path)):  # else a restore was killed before it replaced the file
        kept = unused(kept)
    discard_sidecars(kept)
    for suffix in ("", *LOGS):  # a damaged one still has its log
        if (old := path.with_name(path.name + suffix)).exists():
            _link(old, kept.with_name(kept.name + suffix), temporary(path, "kept"))
    return kept


def _link(old: Path, name: Path, new: Path) -> None:
    new.unlink(missing_ok=True)
    try:
        new.hardlink_to(old)
    except OSError:  # some disks have no links
        shutil.copy2(old, new)
    new.replace(name)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=5, isolation_level=None)
