"""Who makes embeddings: any endpoint that speaks OpenAI's /embeddings, Ollama too, or a class of the project."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from opportune.config.llm_models import EmbeddingModel
from opportune.llm.providers.provider import LLMError, Timeouts

if TYPE_CHECKING:
    from opportune.llm.providers.embeddings_client import EmbeddingsClient


class Embedded(NamedTuple):
    """What became of some texts."""

    vectors: Sequence[Sequence[float]]
    """One of each, in their order."""
    prompt_tokens: int | None = None
    """What it took, where that is known."""


class Embedder(ABC):
    """Makes embeddings. One of a project is made from the settings and its `EmbeddingModel`."""

    @abstractmethod
    async def embed(self, texts: Sequence[str]) -> Embedded:
        """The vectors of some texts, which are neither long nor many.

        Raises:
            LLMError: there are none.
        """

    async def close(self) -> None:
        """Close connections."""


class OpenAIEmbedder(Embedder):
    """One endpoint and model, which are asked once for each batch."""

    def __init__(self, model: EmbeddingModel, limits: Timeouts) -> None:
        self._model = model
        self._limits = limits
        self._client: EmbeddingsClient | None = None
        self._opening = asyncio.Lock()

    async def embed(self, texts: Sequence[str]) -> Embedded:
        body: dict[str, object] = {"model": self._model.model or self._model.name, "input": [*texts]}
        if self._model.dimensions:
            body["dimensions"] = self._model.dimensions
        answer = await (await self._open()).ask(body | self._model.extra_body)
        try:
            data = sorted(answer["data"], key=lambda each: each["index"])
            vectors = [[float(number) for number in each["embedding"]] for each in data]
        except (KeyError, TypeError, ValueError):
            raise LLMError("malformed", "EMBEDDING_MODEL: the endpoint sent something that is no embedding.") from None
        usage = answer.get("usage")
        tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        return Embedded(vectors, tokens if isinstance(tokens, int) else None)

    async def close(self) -> None:
        if self._client:
            await self._client.close()
            self._client = None

    async def _open(self) -> "EmbeddingsClient":
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self._make_client)
            return self._client

    def _make_client(self) -> "EmbeddingsClient":
        from opportune.llm.providers.embeddings_client import EmbeddingsClient  # noqa: PLC0415 - httpx takes 0.2 s

        return EmbeddingsClient(
            *(self._model.base_url, self._model.api_key.get_secret_value().strip(), self._limits), self._model.headers
        )
