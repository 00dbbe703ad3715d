"""Snapshots of SQLite files in memory."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from opportune.db.errors import explain
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError

MAX_FILE_BYTES = 2**30
"""Maximum bytes of a database in SQLite's memdb VFS."""
LOCK_TIMEOUT_SECONDS: float = 2
"""Seconds to wait for a process that writes to the file without a WAL."""


@dataclass(frozen=True, eq=False)
class MemorySnapshot:
    """Content of the file at one time."""

    uri: str
    anchor: sqlite3.Connection
    """Keeps the memory alive: SQLite frees it when its last connection closes."""
    idle: list[sqlite3.Connection] = field(default_factory=list)
    """Idle connections of `MemoryDatabase.rows`."""

    def take_reader(self) -> sqlite3.Connection:
        """Return an idle connection, or open one."""
        with suppress(IndexError):
            return self.idle.pop()
        connection = sqlite3.connect(self.uri, uri=True, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA query_only = ON")
        return connection

    def close(self) -> None:
        for connection in (*self.idle, self.anchor):
            connection.close()


def check_readable(url: DatabaseUrl) -> None:
    with _open_file(url):
        pass


def read_snapshot(url: DatabaseUrl, uri: str) -> MemorySnapshot:
    with _open_file(url) as file:
        return MemorySnapshot(uri, _copy_to_memory(file, uri))


@contextmanager
def _open_file(url: DatabaseUrl) -> Iterator[sqlite3.Connection]:
    """Open a consistent view of the file, also while other processes write to it.

    Raises:
        OperatorError: The file cannot be read, or is empty, damaged or too large.
    """
    if not url.path.is_file():
        raise OperatorError(f"The file {url.path} does not exist. Check {url.name}.")
    try:
        with closing(
            sqlite3.connect(_readonly_uri(url.path), timeout=LOCK_TIMEOUT_SECONDS, uri=True, isolation_level=None)
        ) as file:
            _check_size(file, url)
            yield file
    except sqlite3.Error as error:
        raise OperatorError(explain(error, url)) from error


def _readonly_uri(path: Path) -> str:
    # If SQLite cannot create a WAL beside the file, it needs to know that no process writes.
    is_immutable = not (os.access(path.parent, os.W_OK) or path.with_name(f"{path.name}-wal").exists())
    return f"{path.as_uri()}?mode=ro{'&immutable=1' if is_immutable else ''}"


def _check_size(file: sqlite3.Connection, url: DatabaseUrl) -> None:
    file.execute("BEGIN")  # the checked content is the copied content; backup() itself would wait forever for a lock
    size: int = file.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()[0]
    if not size:
        raise OperatorError(f"{url.path} is empty. Check {url.name}.")
    if size > MAX_FILE_BYTES:
        raise OperatorError(
            f"{url.path} is larger than the {MAX_FILE_BYTES >> 20} MiB that SQLite can hold in memory. Use sqlite:///{url.path}."
        )


def _copy_to_memory(file: sqlite3.Connection, uri: str) -> sqlite3.Connection:
    with ExitStack() as stack:
        memory = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        stack.callback(memory.close)
        file.backup(memory)
        # The header of the copied file may request WAL mode, which memory does not support.
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = DELETE", "locking_mode = NORMAL"):
            memory.execute(f"PRAGMA {pragma}")
        if memory.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("malformed")
        stack.pop_all()
    return memory
