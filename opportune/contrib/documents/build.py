"""Build of an index: documents are read from a source into a spool file, then written to the store of the database.

The spool keeps the documents of an interrupted build, so that the next one resumes.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from sqlite3 import Error
from typing import Any, NamedTuple, Self

from opportune import progress
from opportune.contrib.documents.definition import IndexDefinition
from opportune.contrib.documents.document import Batch, Contents, Document, Source, columns_of
from opportune.contrib.documents.postgresql_store import PostgreSQLStore
from opportune.contrib.documents.sqlite_store import SQLiteStore
from opportune.contrib.documents.store import Store
from opportune.db.drivers.sqlite_file import discard, make_private
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.project.atomic_files import private_file

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


def store_of(index: IndexDefinition[Any], url: DatabaseUrl) -> Store:
    if url.kind == "postgresql":
        return PostgreSQLStore(index, url)
    return SQLiteStore(index, url)


Progress = Callable[[str, int], AbstractContextManager[progress.Progress]]
"""Shows the progress of a step, given its name and number of items."""


class BuildResult(NamedTuple):
    """Result of a build.

    Attributes:
        entries: Number of documents.
        skipped: Reasons by name of batches that could not be read.
        resumed: Number of batches that an interrupted run had already read.
    """

    entries: int
    skipped: dict[str, str]
    resumed: int


def build(index: IndexDefinition[Any], source: Source, url: DatabaseUrl, show_progress: Progress) -> BuildResult:
    """Build an index. The old one is used until the new one is complete. An interrupted build is resumed.

    Raises:
        OperatorError: There is nothing to read, the target is not writable, or another build is running.
    """
    store = store_of(index, url)
    try:
        with _lock_spool(store), Spool.open(store.spool, index.document, store.advice) as spool:
            store.prepare()
            resumed = _read_source(source, spool, show_progress)
            documents, skipped = spool.read()
            contents = Contents.from_documents(source.title, documents, len(skipped))
            if not contents.entries:
                raise OperatorError(f"{source.title} contains nothing to index. The index is unchanged.")
            with show_progress("Writing", len(contents.entries)) as bar:
                store.write(contents, bar.advance)
    except Error as error:
        raise OperatorError(f"{store.spool} cannot be written ({error}). Is its disk full?") from error
    discard(store.spool)
    return BuildResult(len(contents.entries), skipped, resumed)


def _lock_spool(store: Store) -> AbstractContextManager[object]:
    """Lock the spool, so that a second build fails."""
    make_private(store.spool, store.advice)
    return private_file(store.spool.with_suffix(".lock"))


def _read_source(source: Source, spool: Spool, show_progress: Progress) -> int:
    batches = source.batches()
    unread = spool.find_unread(batches)
    with show_progress("Reading", len(batches)) as bar, closing(source.read(unread)) as results:
        bar.advance(len(batches) - len(unread))
        for batch, result in results:
            spool.store_batch(batch, result)
            bar.advance(1)
    return len(batches) - len(unread)
