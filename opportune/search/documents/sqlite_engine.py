"""The index in a SQLite file, read into memory; a new file takes its place while the old one goes on answering."""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import TextClause

from opportune.config.settings import Settings
from opportune.db.drivers.sqlite_memory import MemoryDatabase
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.search.documents.definition import IndexDefinition
from opportune.search.documents.engine import ENOUGH, IMPORTANCE_WEIGHT, SEARCH, Engine
from opportune.search.documents.results import Fields
from opportune.search.query import Query
from opportune.search.spelling import tolerance, trigrams

logger = logging.getLogger(__name__)

CHECK_INTERVAL_SECONDS: float = 1
"""Between two looks at the file."""

Stamp = tuple[int, int, int]


class SQLiteEngine(Engine):
    # All rows as one: a thread waits for Python's lock after each that SQLite gives it.
    searching = f"""
    SELECT json_group_array(json_object({{fields}})) AS found FROM ({SEARCH})
    """
    documents = f"""
    SELECT entry, place FROM (
        SELECT rowid AS entry, 1000 + bm25(documents, 10.0, 4.0, 1.0) + {IMPORTANCE_WEIGHT} * rowid AS place
        FROM documents
        WHERE documents MATCH CASE WHEN {ENOUGH} THEN '""' ELSE :match END LIMIT :deepest
    )
    """
    similar = """
    SELECT term, is_name, frequency FROM terms WHERE id IN (
        SELECT term FROM grams WHERE gram IN (SELECT value FROM json_each(:grams)) AND length BETWEEN :least AND :most
        GROUP BY term ORDER BY count(*) DESC LIMIT :candidates
    )
    """

    listed = "SELECT value FROM json_each(:slugs)"

    def __init__(self, index: IndexDefinition[Any], url: DatabaseURL, settings: Settings) -> None:
        super().__init__(index)
        self.path = url.path
        self.database = MemoryDatabase(url, settings)
        self._read: Stamp | None = None
        """The file that was read, or could not be."""
        self._is_there = False
        self._edition = 0
        self._looked = -CHECK_INTERVAL_SECONDS
        self._one_at_a_time = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None

    async def search(self, query: Query, limit: int, offset: int) -> Sequence[Fields]:
        (row,) = await super().search(query, limit, offset)
        rows: list[Fields] = json.loads(row["found"])
        return rows

    def match(self, query: Query) -> str:
        return query.as_fts5

    def likeness(self, word: str) -> Mapping[str, Any]:
        slips = tolerance(word)
        grams = "[" + ",".join(f'"{gram}"' for gram in trigrams(word)) + "]"
        return {"grams": grams, "least": len(word) - slips, "most": len(word) + slips}

    async def edition(self) -> int | None:
        await self._look_now_and_then()
        return self._edition if self._is_there else None

    async def ask(self, statement: TextClause, values: Mapping[str, Any]) -> Sequence[Fields]:
        await self._look_now_and_then()
        if not self._is_there:
            raise self.index.missing
        return await self.database.rows(statement.text, values)

    async def refresh(self) -> None:
        async with self._one_at_a_time:
            stamp = _stamp(self.path)
            if stamp != self._read:
                await self._take(stamp)

    async def close(self) -> None:
        if self._reading:
            await self._reading
        await self.database.dispose()

    async def _look_now_and_then(self) -> None:
        """Where an index is there already, nobody waits for the next."""
        if self._is_there and monotonic() - self._looked < CHECK_INTERVAL_SECONDS:
            return
        self._looked = monotonic()
        if not self._is_there:
            await self.refresh()
        elif _stamp(self.path) != self._read and not (self._reading and not self._reading.done()):
            self._reading = asyncio.create_task(self.refresh(), name=f"read the index of {self.index.name}")

    async def _take(self, stamp: Stamp | None) -> None:
        self._read = stamp
        if stamp is None:
            self._is_there = False
            await self.database.dispose()
            return
        try:
            await self.database.refresh()
            self._edition += 1  # not before: what is still found in the old one must not be kept for the new
            self._is_there = True
        except OperatorError as error:  # what was read before goes on answering
            logger.error("%s Make the index again: %s", error, self.index.command)


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
