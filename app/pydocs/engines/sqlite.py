"""The index in a SQLite file, read into memory; a new file takes its place while the old one goes on answering."""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import TextClause

from app.pydocs.engines.engine import ENOUGH, IMPORTANCE, SEARCH, Engine, Fields
from app.pydocs.query import Choice, Query
from app.pydocs.schemas import IndexMissing
from app.pydocs.spelling import tolerance, trigrams
from opportune.db.drivers.sqlite_memory import MemoryDatabase
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.settings import Settings

logger = logging.getLogger(__name__)

PAUSE: float = 1
"""Seconds between two looks at the file."""

COLUMNS = ("slug", "name", "kind", "title", "module", "text", "place", "total")

Stamp = tuple[int, int, int]


class SQLiteEngine(Engine):
    # All rows as one: a thread waits for Python's lock after each that SQLite gives it.
    searching = f"""
    SELECT json_group_array(json_object({", ".join(f"'{name}', {name}" for name in COLUMNS)})) AS found FROM ({SEARCH})
    """  # noqa: S608 - our own words
    documents = f"""
    SELECT entry, place FROM (
        SELECT rowid AS entry, 1000 + bm25(documents, 10.0, 4.0, 1.0) + {IMPORTANCE} * rowid AS place
        FROM documents
        WHERE documents MATCH CASE WHEN {ENOUGH} THEN '""' ELSE :match END LIMIT :deepest
    )
    """  # noqa: S608 - our own words
    similar = """
    SELECT term, is_name, frequency FROM terms WHERE id IN (
        SELECT term FROM grams WHERE gram IN (SELECT value FROM json_each(:grams)) AND length BETWEEN :least AND :most
        GROUP BY term ORDER BY count(*) DESC LIMIT :candidates
    )
    """

    def __init__(self, url: DatabaseURL, settings: Settings) -> None:
        super().__init__()
        self.path = url.path
        self.database = MemoryDatabase(url, settings)
        self._read: Stamp | None = None
        """The file that was read, or could not be."""
        self._is_there = False
        self._edition = 0
        self._looked = -PAUSE
        self._one_at_a_time = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None

    async def search(self, query: Query, limit: int, offset: int) -> Sequence[Fields]:
        (row,) = await super().search(query, limit, offset)
        rows: list[Fields] = json.loads(row["found"])
        return rows

    def match(self, query: Query) -> str:
        *others, final = query.choices
        return " OR ".join(filter(None, [*(_together(choice) for choice in others), _together(final, query)]))

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
            raise IndexMissing
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
        if self._is_there and monotonic() - self._looked < PAUSE:
            return
        self._looked = monotonic()
        if not self._is_there:
            await self.refresh()
        elif _stamp(self.path) != self._read and not (self._reading and not self._reading.done()):
            self._reading = asyncio.create_task(self.refresh(), name="read the index of pydocs")

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
            logger.error("%s Make the index again: %s", error, IndexMissing.COMMAND)  # noqa: TRY400 - its line says it all


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _together(choice: Choice, query: Query | None = None) -> str:
    wanted = [_phrase(phrase) for phrase in choice.wanted]
    if query and query.last and query.needs_last:
        wanted.append(f'"{query.last}" *' if query.is_begun else f'"{query.last}"')
    if not wanted:
        return ""
    return f"({' AND '.join(wanted)}{''.join(f' NOT {_phrase(phrase)}' for phrase in choice.unwanted)})"


def _phrase(phrase: tuple[str, ...]) -> str:
    return f'"{" ".join(phrase)}"'
