"""Spool file with the documents read so far, which lets an interrupted build resume."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

from opportune.db.drivers.sqlite_file import discard, make_private
from opportune.search.documents.document import Batch, Document, columns_of

SCHEMA = "CREATE TABLE IF NOT EXISTS batches (name TEXT PRIMARY KEY, mark TEXT NOT NULL, content TEXT NOT NULL)"


class Spool:
    """Stores the result of each batch, until the index is built."""

    def __init__(self, connection: sqlite3.Connection, document: type[Document]) -> None:
        self._connection = connection
        self._document = document

    @classmethod
    @contextmanager
    def open(cls, path: Path, document: type[Document], advice: str) -> Iterator[Self]:
        """Open or create a spool. A damaged one is replaced."""
        make_private(path, advice)
        with closing(_connect_or_replace(path)) as connection:
            yield cls(connection, document)

    def find_unread(self, batches: Sequence[Batch]) -> list[Batch]:
        """Return the batches that must be read, and delete obsolete ones."""
        stored = set(self._connection.execute("SELECT name, mark FROM batches"))
        stale = [(name,) for name, mark in stored if Batch(name, mark) not in set(batches)]
        self._connection.executemany("DELETE FROM batches WHERE name = ?", stale)
        return [batch for batch in batches if batch not in stored]

    def store_batch(self, batch: Batch, result: list[Document] | str) -> None:
        content = result if isinstance(result, str) else [document.row() for document in result]
        self._connection.execute("INSERT INTO batches VALUES (?, ?, ?)", (*batch, json.dumps(content)))

    def read(self) -> tuple[list[Document], dict[str, str]]:
        """Return all documents, and the reasons for skipped batches by name."""
        columns = columns_of(self._document)
        documents: list[Document] = []
        skipped: dict[str, str] = {}
        for name, content in self._connection.execute("SELECT name, content FROM batches ORDER BY name"):
            result = json.loads(content)
            if isinstance(result, str):
                skipped[name] = result
            else:
                documents += (self._document(**dict(zip(columns, row, strict=True))) for row in result)
        return documents, skipped


def _connect_or_replace(path: Path) -> sqlite3.Connection:
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # a full disk, not a damaged file
            raise
        discard(path)
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        # Durability is not necessary: after a power failure, the source is read again.
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF", SCHEMA):
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection
