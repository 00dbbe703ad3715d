"""Checks of a SQLite file. The file is neither created nor changed."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from opportune.contrib.doctor.disk import check_filesystem, check_permissions, check_space
from opportune.contrib.doctor.results import Finding, Status, fault, fault_from_message, milliseconds_since, notice, ok
from opportune.contrib.doctor.schema import compare_migrations
from opportune.db.drivers.sqlite_file import is_database
from opportune.db.errors import explain
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import VERSION_TABLE
from opportune.db.url.database_url import DatabaseUrl
from opportune.plurals import pluralize

LOCK_TIMEOUT_SECONDS = 1
INTEGRITY_TIMEOUT_SECONDS = 4
PROGRESS_INSTRUCTIONS = 100_000
"""Instructions of SQLite's virtual machine between two checks of the time limit."""
MIGRATE = "Run: python3 oppman.py migrate"


@dataclass(frozen=True)
class OpenFile:
    path: Path
    connection: sqlite3.Connection
    graph: MigrationGraph

    def scalar(self, statement: str) -> object:
        row = self.connection.execute(statement).fetchone()
        return row and row[0]


def examine_file(url: DatabaseUrl, graph: MigrationGraph) -> Iterator[Finding]:
    """Run the checks of a file. Stop early if it cannot be opened."""
    path, is_written = url.path, url.kind == "sqlite"
    presence = _check_presence(url)
    yield presence
    if presence.status == Status.FAULT:
        return
    yield check_permissions(path, is_written=is_written)
    yield check_space(path)
    yield check_filesystem(path)
    try:
        with closing(_open(path, is_written=is_written)) as connection:
            opened = OpenFile(path, connection, graph)
            for check in (*(CHECKS_OF_WRITTEN_FILES if is_written else ()), check_integrity, check_migrations):
                yield check(opened)
    except sqlite3.Error as error:
        yield fault_from_message("open", explain(error, url))


def _check_presence(url: DatabaseUrl) -> Finding:
    path, fix = url.path, f"Set {url.name} to another file."
    try:
        if not path.exists():
            return fault("file", f"{path} does not exist yet", MIGRATE)
        if not path.is_file():
            return fault("file", f"{path} is not a file", fix)
        size = path.stat().st_size
        if os.access(path, os.R_OK) and not is_database(path):
            return fault("file", f"{path} is not a SQLite database", fix)
    except OSError as error:
        return fault("file", f"{path} cannot be read ({error.strerror})", fix)
    return ok("file", f"{path}, {size:,} bytes; SQLite {sqlite3.sqlite_version}", bytes=size)


def _open(path: Path, *, is_written: bool) -> sqlite3.Connection:
    uri = f"{path.as_uri()}?mode={'rw' if is_written else 'ro'}"
    connection = sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")  # connect alone does not read the file
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def check_journal(file: OpenFile) -> Finding:
    mode = str(file.scalar("PRAGMA journal_mode"))
    if mode == "wal":
        return ok("journal", "WAL: readers and the writer do not block each other", mode=mode)
    return notice("journal", f"{mode}; the site switches to WAL when it opens the file", mode=mode)


def check_writes(file: OpenFile) -> Finding:
    """Take the write lock and create a table, then roll back."""
    start = time.perf_counter()
    try:
        file.connection.execute("BEGIN IMMEDIATE")
        duration = milliseconds_since(start)
        file.connection.execute("CREATE TABLE opportune_doctor (id INTEGER)")
    except sqlite3.OperationalError as error:
        return _unwritable(file.path, error)
    finally:
        if file.connection.in_transaction:
            file.connection.execute("ROLLBACK")
    message = f"possible: write lock after {duration} ms, test table created and rolled back"
    return ok("writes", message, possible=True, lock_milliseconds=duration)


def _unwritable(path: Path, error: sqlite3.OperationalError) -> Finding:
    if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        message = f"locked by another process for more than {LOCK_TIMEOUT_SECONDS} s"
        return fault("writes", message, f"Wait, or stop the process. Find it with: fuser {path}", possible=False)
    fix = "Make the file, its folder and its disk writable for this user, or use PostgreSQL."
    return fault("writes", f"refused: {error}", fix, possible=False)


def check_integrity(file: OpenFile) -> Finding:
    deadline = time.monotonic() + INTEGRITY_TIMEOUT_SECONDS
    file.connection.set_progress_handler(lambda: time.monotonic() > deadline, PROGRESS_INSTRUCTIONS)
    try:
        result = str(file.scalar("PRAGMA quick_check(1)"))
        if result != "ok":
            return fault("integrity", f"damaged: {result}", "Restore a backup.")
        return _check_foreign_keys(file)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        message = f"no damage found in {INTEGRITY_TIMEOUT_SECONDS} s, but the file is too large to check all of it"
        return notice("integrity", message, f"Check all of it: sqlite3 {file.path} 'PRAGMA integrity_check'")
    finally:
        file.connection.set_progress_handler(None, 0)


def _check_foreign_keys(file: OpenFile) -> Finding:
    violations = file.connection.execute("PRAGMA foreign_key_check").fetchmany(1000)
    if not violations:
        return ok("integrity", "no damage, and all foreign keys refer to existing rows")
    first_violation = f"{violations[0][0]} (rowid {violations[0][1]})"
    message = f"{pluralize(len(violations), 'row')} with a foreign key to a missing row, the first in {first_violation}"
    return fault("integrity", message, "Delete these rows, or restore the rows they refer to.")


def check_migrations(file: OpenFile) -> Finding:
    has_table = file.scalar(f"SELECT count(*) FROM sqlite_master WHERE name = '{VERSION_TABLE.name}'")
    rows = file.connection.execute(f"SELECT version_num FROM {VERSION_TABLE.name}").fetchall() if has_table else []
    return compare_migrations(file.graph, [row[0] for row in rows])


Check = Callable[[OpenFile], Finding]
CHECKS_OF_WRITTEN_FILES: tuple[Check, ...] = (check_journal, check_writes)
