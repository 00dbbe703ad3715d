"""Search for documents by meaning, with their vectors in the site's database."""

from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from opportune.contrib.documents.document import IndexDefinition
from opportune.contrib.documents.engine import Engine
from opportune.contrib.documents.jobs import embed_documents, find_similar
from opportune.db.database import Database
from opportune.errors import ReadOnlyError
from opportune.jobs import defer
from opportune.search.embeddings import EMBEDDINGS

CHECK_INTERVAL_SECONDS = 60
"""Seconds between checks for a new index."""


class MeaningSearch:
    """Finds the documents of an index by meaning, and queues the job that embeds a new index."""

    def __init__(self, index: IndexDefinition[Any], database: Database | None) -> None:
        self.index = index
        self.database = database
        self._built_at = ""
        """Build time of the index for which the embedding job was last queued."""
        self._next_check_at = 0.0

    async def find(self, question: str, engine: Engine) -> Mapping[str, float]:
        """Return slugs and similarities, the most similar first; empty for an index without vectors."""
        database = self.database
        if database is None or not self.index.by_meaning:
            return {}
        embeddings = database.reading_info.get(EMBEDDINGS)
        if embeddings is None:
            return {}
        await self._queue_embedding_if_new(engine, database)
        return await find_similar(self.index, database, question, embeddings)

    async def _queue_embedding_if_new(self, engine: Engine, database: Database) -> None:
        """Queue the embedding job if another process replaced the index. Check at most once a minute."""
        if monotonic() < self._next_check_at:
            return
        self._next_check_at = monotonic() + CHECK_INTERVAL_SECONDS
        about = await engine.read_status()
        if about is None or about["built_at"] == self._built_at:
            return
        with suppress(SQLAlchemyError, TimeoutError, ReadOnlyError):  # the search works without it
            async with database.writer() as session:
                name = self.index.name
                defer(session, embed_documents(name), key=f"embed documents {name} {about['built_at']}")
            self._built_at = about["built_at"]
