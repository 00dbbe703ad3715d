"""Checks of a SQLite file and its disk. The file is neither created nor changed."""

import os
import re
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from opportune.contrib.doctor.examination import (
    Finding,
    Status,
    compare_migrations,
    fault,
    fault_from_message,
    milliseconds_since,
    notice,
    ok,
)
from opportune.db.drivers.sqlite_file import has_other_format, is_locked
from opportune.db.errors import explain
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import VERSION_TABLE
from opportune.db.url.database_url import DatabaseUrl
from opportune.plurals import pluralize
from opportune.project.current import OPPMAN

LOCK_TIMEOUT_SECONDS = 1
INTEGRITY_TIMEOUT_SECONDS = 4
PROGRESS_INSTRUCTIONS = 100_000
"""Instructions of SQLite's virtual machine between two checks of the time limit."""
MIGRATE = f"Run: {OPPMAN} migrate"
MOUNTS = Path("/proc/self/mountinfo")  # Linux only
ESCAPED_BYTE = re.compile(r"\\([0-7]{3})")
"""Space in the path of a mount: `\\040`."""
MEGABYTE_BYTES = 1_000_000
MIN_FREE_BYTES = 50 * MEGABYTE_BYTES
# File locks are unreliable on network file systems, and SQLite's write-ahead log needs shared memory.
NETWORKED = re.compile(r"nfs\d?|cifs|smb\w*|afs|ceph|lustre|glusterfs|fuse\.(sshfs|s3fs|gcsfuse|rclone|glusterfs)")


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
    path = url.path
    is_written = url.kind == "sqlite"
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
            if is_written:
                yield check_journal(opened)
                yield check_writes(opened)
            yield check_integrity(opened)
            yield check_migrations(opened)
    except sqlite3.Error as error:
        yield fault_from_message("open", explain(error, url))


def _check_presence(url: DatabaseUrl) -> Finding:
    path = url.path
    fix = f"Set {url.name} to another file."
    try:
        if not path.exists():
            return fault("file", f"{path} does not exist yet", MIGRATE)
        if not path.is_file():
            return fault("file", f"{path} is not a file", fix)
        size = path.stat().st_size
        if os.access(path, os.R_OK) and has_other_format(path):
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
    if is_locked(error):
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
    table, row_id, *_ = violations[0]
    rows = f"{pluralize(len(violations), 'row')} with a foreign key to a missing row"
    message = f"{rows}, the first in {table} (rowid {row_id})"
    return fault("integrity", message, "Delete these rows, or restore the rows they refer to.")


def check_migrations(file: OpenFile) -> Finding:
    has_table = file.scalar(f"SELECT count(*) FROM sqlite_master WHERE name = '{VERSION_TABLE.name}'")
    rows = file.connection.execute(f"SELECT version_num FROM {VERSION_TABLE.name}").fetchall() if has_table else []
    return compare_migrations(file.graph, [row[0] for row in rows])


def check_space(path: Path) -> Finding:
    free = shutil.disk_usage(path.parent).free
    size = path.stat().st_size
    message = f"{free // MEGABYTE_BYTES:,} MB free"
    values = {"free_bytes": free, "file_bytes": size}
    if free < MIN_FREE_BYTES:
        return fault("disk", message, "Free up space: writes will soon fail.", **values)
    if free < size:
        return notice("disk", message, "Free up space: a backup on this disk needs as much as the file.", **values)
    return ok("disk", message, **values)


def check_filesystem(path: Path) -> Finding:
    type_ = filesystem_type(path)
    if NETWORKED.fullmatch(type_):
        fix = "Move the file to a local disk, or use PostgreSQL: SQLite's locks do not work across a network."
        return fault("filesystem", f"{type_}, a network file system", fix, kind=type_)
    return ok("filesystem", type_ or "unknown", kind=type_)


def check_permissions(path: Path, *, is_written: bool) -> Finding:
    """Check that this user may use the file and other users may not."""
    mode = f"{path.stat().st_mode & 0o777:04o}"
    if not _has_access(path, os.R_OK):
        return fault("permissions", f"{mode}: this user may not read it", f"Run: chmod u+r {path}", mode=mode)
    if is_written and not _has_access(path, os.W_OK):
        fix = f"Run: chmod u+w {path}. It must belong to the user that runs the site, on a writable disk."
        return fault("permissions", f"{mode}: this user may not write to it", fix, mode=mode)
    if is_written and not _has_access(path.parent, os.W_OK | os.X_OK):
        fix = f"Run: chmod u+wx {path.parent}. SQLite writes its log next to the file."
        return fault("permissions", f"this user may not write to the folder {path.parent}", fix, mode=mode)
    for log in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if is_written and log.exists() and not _has_access(log, os.W_OK):  # the log keeps the mode from its creation
            return fault("permissions", f"this user may not write to {log}", f"Run: chmod u+w {log}", mode=mode)
    if sys.platform != "win32" and path.stat().st_mode & 0o077:
        return notice("permissions", f"{mode}: other users have access", f"Run: chmod 600 {path}", mode=mode)
    return ok("permissions", f"{mode}, only this user has access", mode=mode)


def _has_access(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def filesystem_type(path: Path) -> str:
    """Return the type of the file system, such as `ext4`, or "" if it is unknown."""
    if not MOUNTS.exists():
        return ""
    types: dict[str, str] = {}
    for line in MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
        fields, _, device = line.partition(" - ")
        folder = ESCAPED_BYTE.sub(lambda match: chr(int(match[1], 8)), fields.split()[4])
        types[folder] = device.split()[0]  # the last of several mounts on a folder counts
    mount_points = [point for point in types if path.resolve().is_relative_to(point)]
    return types.get(max(mount_points, key=len, default=""), "")
