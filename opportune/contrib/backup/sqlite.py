"""SQLite files: snapshot of a live database, integrity check, and safe replacement."""

import shutil
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from opportune.contrib.backup.unused_paths import unused_path
from opportune.db.drivers.sqlite_file import LOGS, discard_sidecars, has_other_format, is_locked
from opportune.db.migrations.history import VERSION_TABLE
from opportune.errors import OperatorError
from opportune.progress import work
from opportune.project.atomic_files import copy_owner, replace_file, temporary_path

LOCK_TIMEOUT_SECONDS = 1.0
READ_TIMEOUT_SECONDS = 5.0
PAGES_PER_STEP = 4096
VIRTUAL_TABLE = "CREATE VIRTUAL"
PREVIOUS_SUFFIX = ".before-restore"
IN_USE = "{path} is in use: stop the server and other programs that have it open, then run this again."

# Position of SQLite's locks in a file (https://sqlite.org/fileformat2.html#lockbyte).
FIRST_SHARED_BYTE = 0x40000002
SHARED_BYTES = 510


@dataclass(frozen=True)
class DatabaseState:
    """Applied migrations and number of rows per table."""

    revisions: list[str]
    tables: list[str]
    rows: dict[str, int]


def copy_snapshot(source: Path, target: Path) -> dict[str, int]:
    """Copy a consistent snapshot of a database in use into an empty file. Return the number of rows per table."""
    with closing(_connect(source)) as live, closing(_connect(target)) as copy:
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("PRAGMA journal_mode = OFF")
        # In a transaction, writes of other processes neither restart the copy nor block it.
        live.execute("BEGIN")
        rows = _count_all_rows(live, _read_tables(live))
        with work("Copying the database", unit="steps") as progress:
            live.backup(copy, pages=PAGES_PER_STEP, progress=lambda *_: progress.advance())  # steps allow Ctrl-C
    merge_wal(target)
    return rows


def merge_wal(path: Path) -> None:
    """Move the content of the write-ahead log into the database file."""
    with closing(_connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def inspect_database(path: Path) -> DatabaseState:
    """Check a database file and return its state."""
    try:
        with closing(_connect(path)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            tables = _read_tables(connection)
            versions = VERSION_TABLE.name
            rows = connection.execute(f"SELECT version_num FROM {versions}") if versions in tables else ()
            revisions = sorted(revision for (revision,) in rows)
            counts = _count_all_rows(connection, tables)
    except sqlite3.DatabaseError as error:
        raise OperatorError(f"Its SQLite database cannot be used: {error}.") from error
    if verdict != "ok":
        raise OperatorError(f"Its SQLite database is damaged: {str(verdict).splitlines()[0]}.")
    return DatabaseState(revisions, list(tables), counts)


def _read_tables(connection: sqlite3.Connection) -> dict[str, str]:
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
    return {name: sql for name, sql in connection.execute(query) if not name.startswith("sqlite_")}


def _count_all_rows(connection: sqlite3.Connection, tables: Mapping[str, str]) -> dict[str, int]:
    # Virtual tables can need an extension, and store their rows in other tables.
    return {name: _count_rows(connection, name) for name, sql in tables.items() if not sql.startswith(VIRTUAL_TABLE)}


def _count_rows(connection: sqlite3.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    (number,) = connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()
    return int(number)


def replace_database(new: Path, path: Path) -> Path | None:
    """Replace a database file atomically and return the new path of the old one, if there was one."""
    if not path.exists():
        discard_sidecars(path)
        replace_file(new, path)
        return None
    with _exclusive_lock(path):
        copy_owner(path, new)
        previous = _link_previous(path)
        discard_sidecars(path)  # or SQLite would apply them to the new file
        replace_file(new, path)
    return previous


@contextmanager
def _exclusive_lock(path: Path) -> Iterator[None]:
    """Lock out other processes and merge the write-ahead log into the file."""
    if has_other_format(path):  # do not open it: SQLite would discard its log
        _refuse_locked(path)
        yield
        return
    with closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None)) as connection:
        try:
            # Fails while another process has the database open, even if it is idle.
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise OperatorError(_lock_error_message(path, error)) from error
        except sqlite3.DatabaseError:  # a damaged database can be replaced
            connection.close()
            _refuse_locked(path)
        if sys.platform == "win32":  # Windows cannot replace open files
            connection.close()
        yield


def _lock_error_message(path: Path, error: sqlite3.OperationalError) -> str:
    if is_locked(error):
        return IN_USE.format(path=path)
    return f"{path} cannot be replaced: {error}. Check that this user may write to it and its folder."


def _refuse_locked(path: Path) -> None:
    """Raise OperatorError if another process has the file open. SQLite cannot check this for damaged files."""
    if sys.platform == "win32":
        return
    import fcntl

    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, SHARED_BYTES, FIRST_SHARED_BYTE)
        except OSError as error:
            raise OperatorError(IN_USE.format(path=path)) from error


def _link_previous(path: Path) -> Path:
    """Link the old database under a new name, without replacing the one of an earlier restore."""
    previous = path.with_name(path.name + PREVIOUS_SUFFIX)
    if not (previous.exists() and previous.samefile(path)):  # else a killed restore has already linked it
        previous = unused_path(previous)
    discard_sidecars(previous)
    for suffix in ("", *LOGS):  # a damaged database still has its log
        old = path.with_name(path.name + suffix)
        if old.exists():
            _link(old, previous.with_name(previous.name + suffix), temporary_path(path, "kept"))
    return previous


def _link(source: Path, target: Path, temporary: Path) -> None:
    temporary.unlink(missing_ok=True)
    try:
        temporary.hardlink_to(source)
    except OSError:  # some file systems have no hard links
        shutil.copy2(source, temporary)
    temporary.replace(target)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=READ_TIMEOUT_SECONDS, isolation_level=None)
