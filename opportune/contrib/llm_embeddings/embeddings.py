"""Embedding model of the site, which turns texts into vectors for search by meaning."""

from array import array
from collections.abc import Sequence
from math import hypot, isfinite
from typing import Self

from opportune.config.settings import Settings
from opportune.contrib.llm import Chunks, Done, Embedded, Embedder, EmbeddingModel, LlmError, Message
from opportune.contrib.llm.call_guard import SITE, CallGuard
from opportune.contrib.llm.completion.calls import metered, run_to_end
from opportune.contrib.llm.completion.usage import CallMeter
from opportune.contrib.llm.providers.factory import add_url_and_key
from opportune.contrib.llm_embeddings.embedders import NO_EMBEDDING, make_embedder
from opportune.contrib.llm_embeddings.queries import QueryEmbeddings
from opportune.search.embeddings import Vector


class Embeddings:
    """Client of the embedding model, shared by all searches of a process. Its calls are counted and limited."""

    def __init__(self, settings: Settings, model: EmbeddingModel, guard: CallGuard | None = None) -> None:
        self.model = add_url_and_key(model, settings)
        self.guard = guard
        self._settings = settings
        self._embedders: dict[str, Embedder] = {}
        self._queries = QueryEmbeddings(self._embed_query)

    @classmethod
    def of(cls, settings: Settings, guard: CallGuard | None = None) -> Self | None:
        """Create the client of EMBEDDING_MODEL; None if it is empty."""
        return cls(settings, settings.embedding_model, guard) if settings.embedding_model else None

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

        async def embed() -> Chunks:
            nonlocal embedded
            embedded = await self._embedder(model).embed(texts)
            yield Done(embedded.prompt_tokens, 0, model=model.name)

        chunks = metered(meter, embed())
        if self.guard:
            chunks = self.guard.watch(meter, SITE, chunks)
        await run_to_end(chunks)
        return _normalized(embedded.vectors, len(texts))

    def _embedder(self, model: EmbeddingModel) -> Embedder:
        if model.made_of not in self._embedders:
            self._embedders[model.made_of] = make_embedder(self._settings, model)
        return self._embedders[model.made_of]

    async def close(self) -> None:
        """Cancel running calls and close connections."""
        await self._queries.close()
        for embedder in self._embedders.values():
            await embedder.close()


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
