"""What has been read so far, kept in a file until the index is whole: an interrupted run is gone on with."""

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
    def __init__(self, connection: sqlite3.Connection, document: type[Document]) -> None:
        self._connection = connection
        self._document = document

    @classmethod
    @contextmanager
    def opened(cls, path: Path, document: type[Document], advice: str) -> Iterator[Self]:
        """The spool in this file, which is made; one that is damaged is made anew."""
        make_private(path, advice)
        with closing(_connected(path)) as connection:
            yield cls(connection, document)

    def missing(self, batches: Sequence[Batch]) -> list[Batch]:
        """Those that must be read; what belongs to none of them, or has changed, is forgotten."""
        known = set(self._connection.execute("SELECT name, mark FROM batches"))
        stale = [(name,) for name, mark in known if Batch(name, mark) not in set(batches)]
        self._connection.executemany("DELETE FROM batches WHERE name = ?", stale)
        return [batch for batch in batches if batch not in known]

    def keep(self, batch: Batch, found: list[Document] | str) -> None:
        content = found if isinstance(found, str) else [each.row() for each in found]
        self._connection.execute("INSERT INTO batches VALUES (?, ?, ?)", (*batch, json.dumps(content)))

    def read(self) -> tuple[list[Document], dict[str, str]]:
        """All documents, and why what was left out."""
        columns = columns_of(self._document)
        documents: list[Document] = []
        left_out: dict[str, str] = {}
        for name, content in self._connection.execute("SELECT name, content FROM batches ORDER BY name"):
            found = json.loads(content)
            if isinstance(found, str):
                left_out[name] = found
            else:
                documents += (self._document(**dict(zip(columns, row, strict=True))) for row in found)
        return documents, left_out


def _connected(path: Path) -> sqlite3.Connection:
    try:
        return _prepared(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # a full disk, not a damaged file
            raise
        discard(path)
        return _prepared(path)


def _prepared(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        # Nothing here is worth waiting for a disk: after a power failure it is read again.
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF", SCHEMA):
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection
