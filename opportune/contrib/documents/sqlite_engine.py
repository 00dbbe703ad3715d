"""Index in a SQLite file, loaded into memory. A new file is loaded while the old index is used."""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import TextClause

from opportune.config.settings import Settings
from opportune.contrib.documents.definition import IndexDefinition
from opportune.contrib.documents.document import Fields
from opportune.contrib.documents.engine import HAS_ENOUGH_NAMES, IMPORTANCE_WEIGHT, SEARCH, Engine
from opportune.contrib.documents.similar_words import max_edit_distance, trigrams
from opportune.db.drivers.sqlite_memory import MemoryDatabase
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.search.query import Query

logger = logging.getLogger(__name__)

CHECK_INTERVAL_SECONDS: float = 1
"""Seconds between checks of the file."""

Stamp = tuple[int, int, int]
"""Inode, modification time and size of a file, which identify its content."""


class SQLiteEngine(Engine):
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
        rows: list[Fields] = json.loads(row["hits"])
        return rows

    def match(self, query: Query) -> str:
        return query.as_fts5

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
        if not self._is_loaded:
            await self.refresh()
        elif _read_stamp(self.path) != self._last_stamp and not (self._refresh_task and not self._refresh_task.done()):
            self._refresh_task = asyncio.create_task(self.refresh(), name=f"read the index of {self.index.name}")

    async def _load(self, stamp: Stamp | None) -> None:
        self._last_stamp = stamp
        if stamp is None:
            self._is_loaded = False
            await self.database.dispose()
            return
        try:
            await self.database.refresh()
            self._edition += 1  # not earlier, because results of the old index must not be cached for the new one
            self._is_loaded = True
        except OperatorError as error:  # the old index is still used
            logger.error("%s Build the index again: %s", error, self.index.command)


def _read_stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
