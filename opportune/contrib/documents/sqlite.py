"""Index in a SQLite file. A build replaces the file, and each process loads it into memory."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any, cast

from sqlalchemy import TextClause

from opportune.config.settings import Settings
from opportune.contrib.documents.build import Contents, NumberedDocument, Store, Vocabulary
from opportune.contrib.documents.document import Fields, IndexDefinition
from opportune.contrib.documents.engine import HAS_ENOUGH_NAMES, IMPORTANCE_WEIGHT, SEARCH, Engine
from opportune.contrib.documents.spelling import max_edit_distance, trigrams
from opportune.db.drivers.sqlite_file import SIDECARS, make_private
from opportune.db.drivers.sqlite_memory import MemoryDatabase
from opportune.db.queries.batches import batches_of
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.project.atomic_files import private_file, replace_file, sync_file, temporary_path
from opportune.search.dialects import write_fts5
from opportune.search.query import Query

logger = logging.getLogger(__name__)

CHECK_INTERVAL_SECONDS: float = 1
"""Seconds between checks of the file."""

Stamp = tuple[int, int, int]
"""Inode, modification time and size of a file, which identify its content."""


# Words are already normalized, the same way for both databases, so the tokenizer only splits them.
SCHEMA = (
    "CREATE TABLE entries (id INTEGER PRIMARY KEY, {columns})",
    "CREATE TABLE keys (key TEXT, depth INTEGER, entry INTEGER, PRIMARY KEY (key, depth, entry)) WITHOUT ROWID",
    "CREATE VIRTUAL TABLE documents USING fts5(name, title, text, content='', tokenize='ascii', prefix='1 2 3')",
    "CREATE TABLE terms (id INTEGER PRIMARY KEY, term TEXT NOT NULL, is_name INTEGER NOT NULL,"
    " frequency INTEGER NOT NULL)",
    "CREATE TABLE grams (gram TEXT, length INTEGER, term INTEGER, PRIMARY KEY (gram, length, term)) WITHOUT ROWID",
    "CREATE TABLE about (source TEXT, entries INTEGER, skipped INTEGER, built_at TEXT)",
)
INDEXES = (
    "CREATE UNIQUE INDEX entries_slug ON entries (slug)",
    "CREATE INDEX entries_parent ON entries (parent)",
    "CREATE INDEX terms_term ON terms (term)",
    "INSERT INTO documents (documents) VALUES ('optimize')",
    "ANALYZE",
)
BATCH_ROWS = 500


class SQLiteEngine(Engine):
    """Queries of the index in memory. A new file is loaded while the old index is used."""

    # One JSON value with all rows, because the thread of SQLite waits for the GIL after each row.
    search_sql = f"""
    SELECT json_group_array(json_object({{fields}})) AS hits FROM ({SEARCH})
    """
    documents = f"""
    SELECT entry, rank FROM (
        SELECT rowid AS entry, 1000 + bm25(documents, 10.0, 4.0, 1.0) + {IMPORTANCE_WEIGHT} * rowid AS rank
        FROM documents
        WHERE documents MATCH CASE WHEN {HAS_ENOUGH_NAMES} THEN '""' ELSE :match END LIMIT :max_hits
    )
    """
    similar_terms_sql = """
    SELECT term, is_name, frequency FROM terms WHERE id IN (
        SELECT term FROM grams
        WHERE gram IN (SELECT value FROM json_each(:grams)) AND length BETWEEN :shortest AND :longest
        GROUP BY term ORDER BY count(*) DESC LIMIT :candidates
    )
    """

    listed_slugs = "SELECT value FROM json_each(:slugs)"

    def __init__(self, index: IndexDefinition[Any], url: DatabaseUrl, settings: Settings) -> None:
        super().__init__(index)
        self.path = url.path
        self.database = MemoryDatabase(url, settings)
        self._last_stamp: Stamp | None = None
        """Stamp of the last file that was loaded or failed to load."""
        self._is_loaded = False
        self._edition = 0
        self._checked_at = -CHECK_INTERVAL_SECONDS
        self._lock = asyncio.Lock()
        self._refresh_task: asyncio.Task[None] | None = None

    async def search(self, query: Query, limit: int, offset: int) -> Sequence[Fields]:
        (row,) = await super().search(query, limit, offset)
        return cast("list[Fields]", json.loads(row["hits"]))

    def match(self, query: Query) -> str:
        return write_fts5(query)

    def similarity_parameters(self, word: str) -> Mapping[str, Any]:
        edits = max_edit_distance(word)
        return {"grams": json.dumps([*trigrams(word)]), "shortest": len(word) - edits, "longest": len(word) + edits}

    async def edition(self) -> int | None:
        await self._load_if_new()
        return self._edition if self._is_loaded else None

    async def rows(self, statement: TextClause, values: Mapping[str, Any]) -> Sequence[Fields]:
        await self._load_if_new()
        if not self._is_loaded:
            raise self.index.missing_error
        return await self.database.rows(statement.text, values)

    async def refresh(self) -> None:
        async with self._lock:
            stamp = _read_stamp(self.path)
            if stamp != self._last_stamp:
                await self._load(stamp)

    async def close(self) -> None:
        if self._refresh_task:
            await self._refresh_task
        await self.database.dispose()

    async def _load_if_new(self) -> None:
        """Load the file if it is new. If an old index can be searched until then, load it in the background."""
        if self._is_loaded and monotonic() - self._checked_at < CHECK_INTERVAL_SECONDS:
            return
        self._checked_at = monotonic()
        is_refreshing = self._refresh_task is not None and not self._refresh_task.done()
        if not self._is_loaded:
            await self.refresh()
        elif not is_refreshing and _read_stamp(self.path) != self._last_stamp:
            self._refresh_task = asyncio.create_task(self.refresh(), name=f"read the index of {self.index.name}")

    async def _load(self, stamp: Stamp | None) -> None:
        if stamp is None:
            self._is_loaded = False
            await self.database.clear()
        else:
            try:
                await self.database.refresh()
                self._edition += 1  # not earlier, because results of the old index must not be cached for the new one
                self._is_loaded = True
            except OperatorError as error:  # the old index is still used
                logger.error("%s Build the index again: %s", error, self.index.command)
        self._last_stamp = stamp  # not earlier, because a search that is cancelled here must not prevent the next one


def _read_stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


class SQLiteStore(Store):
    """Writer of the file."""

    faults = (OSError, sqlite3.Error)

    def prepare(self) -> None:
        probe = temporary_path(self.url.path, "probe")
        make_private(probe, f"Set {self.url.name}.")
        probe.unlink(missing_ok=True)

    def write(self, contents: Contents, advance: Callable[[int], None]) -> None:
        new_path = temporary_path(self.url.path, "index")
        lock = private_file(temporary_path(self.url.path))
        with self.explained_errors(), lock, private_file(new_path, lock=False) as file:
            _build(new_path, self.index.columns, contents, advance)
            sync_file(file)
            replace_file(new_path, self.url.path)

    def clear(self) -> bool:
        files = [self.url.path, *(self.url.path.with_name(self.url.path.name + suffix) for suffix in SIDECARS)]
        existing = [file for file in files if file.exists()]
        with self.explained_errors():
            for file in existing:
                file.unlink()
        return bool(existing)


def _build(path: Path, columns: Sequence[str], contents: Contents, advance: Callable[[int], None]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # No journal, because the file is not used before it is complete.
        text_columns = ", ".join(f"{name} TEXT NOT NULL" for name in columns)
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "BEGIN", *SCHEMA):
            connection.execute(statement.format(columns=text_columns))
        vocabulary = Vocabulary()
        for entries in batches_of(contents.entries, BATCH_ROWS):
            _insert(connection, entries, vocabulary)
            advance(len(entries))
        _insert_terms(connection, vocabulary)
        about = contents.source, len(contents.entries), len(contents.skipped), contents.built_at.isoformat()
        connection.execute("INSERT INTO about VALUES (?, ?, ?, ?)", about)
        for statement in (*INDEXES, "COMMIT"):
            connection.execute(statement)
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):  # the disk stored something else
            raise sqlite3.DatabaseError("malformed")


def _insert(connection: sqlite3.Connection, entries: Sequence[NumberedDocument], vocabulary: Vocabulary) -> None:
    marks = ", ".join("?" * len(entries[0].row))
    connection.executemany(f"INSERT INTO entries VALUES ({marks})", (entry.row for entry in entries))
    keys = (key for entry in entries for key in entry.keys)
    connection.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)", keys)
    for entry in entries:
        word_columns = entry.word_columns
        vocabulary.add(word_columns)
        connection.execute(
            "INSERT INTO documents (rowid, name, title, text) VALUES (?, ?, ?, ?)",
            (entry.number, *map(" ".join, word_columns)),
        )


def _insert_terms(connection: sqlite3.Connection, vocabulary: Vocabulary) -> None:
    grams: list[tuple[str, int, int]] = []
    for number, term in enumerate(vocabulary.terms, 1):
        connection.execute("INSERT INTO terms VALUES (?, ?, ?, ?)", (number, *term))
        grams += ((gram, len(term.term), number) for gram in trigrams(term.term))
    connection.executemany("INSERT INTO grams VALUES (?, ?, ?)", sorted(grams))
