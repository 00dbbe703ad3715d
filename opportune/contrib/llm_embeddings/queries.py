"""Vectors of search queries: cached, shared by concurrent searches, and limited in time."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from time import monotonic

from opportune.contrib.llm import EmbeddingModel, LlmError
from opportune.search.embeddings import Vector
from opportune.services.tasks import cancel_and_wait

logger = logging.getLogger(__name__)

QUERY_TIMEOUT_SECONDS = 1.5
"""Seconds that a search waits for the embedding of its query. Later it searches by words only."""
OUTAGE_SECONDS = 30.0
"""Seconds for which searches do not use an endpoint after a failure."""
MAX_CACHED_QUERIES = 1_000
"""Maximum number of cached query embeddings per process."""
MIN_QUERY_CHARS = 3

QueryKey = tuple[str, str]
"""Identification of a model, and a query."""


class QueryEmbeddings:
    """Computes the vectors of queries with `embed`, and keeps the last ones."""

    def __init__(self, embed: Callable[[EmbeddingModel, str], Awaitable[Vector]]) -> None:
        self._embed = embed
        self._cache: OrderedDict[QueryKey, Vector] = OrderedDict()
        self._tasks: dict[QueryKey, asyncio.Task[Vector | None]] = {}
        self._unavailable_until: dict[str, float] = {}

    async def find(self, model: EmbeddingModel, query: str) -> Vector | None:
        """Return the vector of a query; None if the query is too short, or the model is late or fails."""
        key = (model.made_of, " ".join(query.split()))
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        if len(key[1]) < MIN_QUERY_CHARS:
            return None
        if key not in self._tasks:
            if monotonic() < self._unavailable_until.get(model.made_of, 0):
                return None
            self._tasks[key] = asyncio.create_task(self._compute(model, key), name="embed a query")
        return await self._wait_for(model, self._tasks[key])

    async def _wait_for(self, model: EmbeddingModel, task: asyncio.Task[Vector | None]) -> Vector | None:
        try:
            async with asyncio.timeout(QUERY_TIMEOUT_SECONDS):
                return await asyncio.shield(task)
        except TimeoutError:
            self._record_outage(model, f"no response in {QUERY_TIMEOUT_SECONDS} s")
            return None

    async def _compute(self, model: EmbeddingModel, key: QueryKey) -> Vector | None:
        """Compute and cache a vector. A late one is used by the next search."""
        try:
            vector = await self._embed(model, key[1])
        except Exception as error:  # noqa: BLE001 - search by words, whatever a project's embedder raises
            self._record_outage(model, error.with_advice if isinstance(error, LlmError) else repr(error))
            return None
        finally:
            del self._tasks[key]
        if self._unavailable_until.pop(model.made_of, None) is not None:
            logger.warning("EMBEDDING_MODEL is available again.")
        self._cache[key] = vector
        if len(self._cache) > MAX_CACHED_QUERIES:
            self._cache.popitem(last=False)
        return vector

    def _record_outage(self, model: EmbeddingModel, reason: str) -> None:
        if model.made_of not in self._unavailable_until:
            logger.warning("EMBEDDING_MODEL is unavailable, so search uses words only: %s", reason)
        self._unavailable_until[model.made_of] = monotonic() + OUTAGE_SECONDS

    async def close(self) -> None:
        """Cancel running calls."""
        await cancel_and_wait(*self._tasks.values())
