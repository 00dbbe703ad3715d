"""Embedders: endpoints with OpenAI's /embeddings API, such as Ollama, or a class of the project."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from opportune.config.llm_models import EmbeddingModel
from opportune.contrib.llm.providers.errors import NO_EMBEDDING
from opportune.contrib.llm.providers.provider import LlmError, Timeouts

if TYPE_CHECKING:
    from opportune.contrib.llm.providers.embeddings_client import EmbeddingsClient


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
        self._timeouts = timeouts
        self._client: EmbeddingsClient | None = None
        self._open_lock = asyncio.Lock()

    async def embed(self, texts: Sequence[str]) -> Embedded:
        body: dict[str, object] = {"model": self._model.model or self._model.name, "input": [*texts]}
        if self._model.dimensions:
            body["dimensions"] = self._model.dimensions
        response = await (await self._open()).post(body | self._model.extra_body)
        try:
            data = sorted(response["data"], key=lambda item: item["index"])
            vectors = [[float(number) for number in item["embedding"]] for item in data]
        except (KeyError, TypeError, ValueError, OverflowError):
            raise LlmError("malformed", NO_EMBEDDING) from None
        usage = response.get("usage")
        tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        return Embedded(vectors, tokens if isinstance(tokens, int) else None)

    async def close(self) -> None:
        if self._client:
            await self._client.close()
            self._client = None

    async def _open(self) -> "EmbeddingsClient":
        async with self._open_lock:
            if self._client is None:
                self._client = await asyncio.to_thread(self._make_client)
            return self._client

    def _make_client(self) -> "EmbeddingsClient":
        from opportune.contrib.llm.providers.embeddings_client import EmbeddingsClient  # httpx2 takes 0.2 s

        api_key = self._model.api_key.get_secret_value().strip()
        return EmbeddingsClient(self._model.base_url, api_key, self._timeouts, self._model.headers)
