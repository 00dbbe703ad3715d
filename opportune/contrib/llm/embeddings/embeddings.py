"""Embedding model of the site, which turns texts into vectors for search by meaning.

Vectors of queries are cached, shared by concurrent searches, and limited in time.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from array import array
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import hypot, isfinite
from time import monotonic
from typing import Any, NamedTuple, Self

from opportune.config.llm_models import EmbeddingModel
from opportune.config.settings import Settings
from opportune.contrib.llm.call_guard import SITE, CallGuard, GuardedCall
from opportune.contrib.llm.completion.calls import one_chunk, run_to_end
from opportune.contrib.llm.completion.usage import CallMeter
from opportune.contrib.llm.providers.errors import NO_EMBEDDING
from opportune.contrib.llm.providers.factory import add_url_and_key, make_custom
from opportune.contrib.llm.providers.loose_json import bytes_in, json_in
from opportune.contrib.llm.providers.provider import Done, LlmError, Message, Timeouts
from opportune.contrib.llm.providers.token_counts import counts_in
from opportune.contrib.llm.whole_responses import ModelEndpoint, content_of, results_in
from opportune.search.embeddings import Vector
from opportune.services.tasks import cancel_and_wait

MAX_RESPONSE_BYTES = 64_000_000
"""A batch of 64 vectors with 3,072 numbers has about 5 MB."""
VECTOR_FIELDS = ("embedding", "embeddings", "embeddingsbytype", "values", "float", "base64", "vectors")
"""Fields with vectors, of various endpoints. Some are within others."""


class Embedded(NamedTuple):
    """Embeddings of a batch of texts.

    Attributes:
        vectors: One vector per text, in the same order.
        prompt_tokens: Tokens used, if known.
    """

    vectors: Sequence[Sequence[float]]
    prompt_tokens: int | None = None


class Embedder(ABC):
    """Base class of embedders. A project's class is created with the settings and the `EmbeddingModel`."""

    @abstractmethod
    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return the embeddings of a batch of at most 64 short texts.

        Raises:
            LlmError: The embeddings could not be computed.
        """

    async def close(self) -> None:
        """Close connections."""


class OpenAIEmbedder(Embedder):
    """Embedder for one endpoint and model. Sends one request per batch."""

    def __init__(self, model: EmbeddingModel, timeouts: Timeouts) -> None:
        self._model = model
        self._endpoint = ModelEndpoint("EMBEDDING_MODEL", model, timeouts, timeouts.first)

    async def embed(self, texts: Sequence[str]) -> Embedded:
        body: dict[str, object] = {"model": self._model.endpoint_name, "input": [*texts]}
        if self._model.dimensions:
            body["dimensions"] = self._model.dimensions
        body |= self._model.extra_body
        _, content = await self._endpoint.post("/embeddings", MAX_RESPONSE_BYTES, json=body)
        response = content_of(content)
        try:
            vectors = [_parse_vector(result) for result in results_in(response, VECTOR_FIELDS)]
        except (TypeError, ValueError, OverflowError):
            vectors = []
        if not vectors:
            raise self._endpoint.failure(response, NO_EMBEDDING)
        usage = response.get("usage") if isinstance(response, dict) else None
        return Embedded(vectors, counts_in(usage).get("prompt_tokens"))

    async def close(self) -> None:
        await self._endpoint.close()


def _parse_vector(result: Any) -> list[float]:
    """Return a vector, which some endpoints send as 32-bit numbers in Base64.

    Raises:
        TypeError, ValueError, OverflowError: The result is not a vector.
    """
    if isinstance(result, str):
        result = json_in(result) if result.startswith("[") else array("f", bytes_in(result))
    return [float(number) for number in result]


QUERY_TIMEOUT_SECONDS = 1.5
"""Seconds that a search waits for the embedding of its query. Later it searches by words only."""
OUTAGE_SECONDS = 30.0
"""Seconds for which searches do not use an endpoint after a failure."""
MAX_CACHED_QUERIES = 1_000
"""Maximum number of cached query embeddings per process."""
MIN_QUERY_CHARS = 3

logger = logging.getLogger(__name__)

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


class Embeddings:
    """Client of the embedding model, shared by all searches of a process. Its calls are counted and limited."""

    def __init__(
        self,
        model: EmbeddingModel,
        create_embedder: Callable[[EmbeddingModel], Embedder],
        guard: CallGuard | None = None,
    ) -> None:
        self.model = model
        self.guard = guard
        self._create_embedder = create_embedder
        self._embedders: dict[str, Embedder] = {}
        self._queries = QueryEmbeddings(self._embed_query)

    @classmethod
    def of(cls, settings: Settings, guard: CallGuard | None = None) -> Self | None:
        """Create the client of EMBEDDING_MODEL; None if it is empty."""
        if not settings.embedding_model:
            return None
        return cls(add_url_and_key(settings.embedding_model, settings), partial(make_embedder, settings), guard)

    async def embed_texts(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vectors of a batch of documents or rows.

        Raises:
            LlmError: The endpoint failed, or a limit is reached.
        """
        return await self._embed(self.model, [self.model.document_prefix + self.model.cut(text) for text in texts])

    async def embed_query(self, text: str, made_of: str = "") -> Vector | None:
        """Return the vector of a search query, cached; None if it is late or fails.

        `made_of` identifies the model of the indexed vectors, by default the current one.
        """
        return await self._queries.find(self.model.as_made_of(made_of or self.model.made_of), text)

    async def _embed_query(self, model: EmbeddingModel, query: str) -> Vector:
        (vector,) = await self._embed(model, [model.query_prefix + model.cut(query)])
        return vector

    async def _embed(self, model: EmbeddingModel, texts: Sequence[str]) -> list[Vector]:
        meter = CallMeter(model.name, model, [Message("user", text) for text in texts])
        embedded = Embedded([])

        async def embed() -> Done:
            nonlocal embedded
            embedded = await self._embedder(model).embed(texts)
            return Done(embedded.prompt_tokens, 0, model=model.name)

        chunks = one_chunk(meter, embed)
        if self.guard:
            chunks = self.guard.watch(GuardedCall(meter, SITE, chunks))
        await run_to_end(chunks)
        return _normalized(embedded.vectors, len(texts))

    def _embedder(self, model: EmbeddingModel) -> Embedder:
        if model.made_of not in self._embedders:
            self._embedders[model.made_of] = self._create_embedder(model)
        return self._embedders[model.made_of]

    async def close(self) -> None:
        """Cancel running calls and close connections."""
        await self._queries.close()
        for embedder in self._embedders.values():
            await embedder.close()


def make_embedder(settings: Settings, model: EmbeddingModel) -> Embedder:
    """Create the embedder of a model.

    Raises:
        OperatorError: The provider class in EMBEDDING_MODEL cannot be imported.
    """
    if model.provider:
        custom: Embedder = make_custom(settings, model, "EMBEDDING_MODEL")
        return custom
    return OpenAIEmbedder(model, Timeouts.of(settings))


def _normalized(vectors: Sequence[Sequence[float]], expected: int) -> list[Vector]:
    """Return vectors of length 1.

    Raises:
        LlmError: Their number or dimensions are wrong.
    """
    lengths = [hypot(*vector) for vector in vectors]
    have_direction = all(length > 0 and isfinite(length) for length in lengths)
    have_equal_dimensions = len(set(map(len, vectors))) == 1
    if len(vectors) != expected or not have_direction or not have_equal_dimensions:
        raise LlmError("malformed", NO_EMBEDDING)
    return [array("f", [number / length for number in vector]) for vector, length in zip(vectors, lengths, strict=True)]
