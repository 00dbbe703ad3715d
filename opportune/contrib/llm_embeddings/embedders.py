"""The embedder for endpoints with OpenAI's API, and the choice between it and that of the project."""

from array import array
from collections.abc import Sequence
from typing import Any

from opportune.config.settings import Settings
from opportune.contrib.llm import Embedded, Embedder, EmbeddingModel, Timeouts
from opportune.contrib.llm.providers.factory import make_custom
from opportune.contrib.llm.providers.loose_json import bytes_in, json_in, object_in
from opportune.contrib.llm.providers.token_counts import counts_in
from opportune.contrib.llm.whole_responses import ModelEndpoint, content_of, results_in

NO_EMBEDDING = "EMBEDDING_MODEL: the response of the endpoint is not an embedding."
MAX_RESPONSE_BYTES = 64_000_000
"""A batch of 64 vectors with 3,072 numbers has about 5 MB."""
VECTOR_FIELDS = ("embedding", "embeddings", "embeddingsbytype", "values", "float", "base64", "vectors")
"""Fields with vectors, of various endpoints. Some are within others."""
MAX_PLAUSIBLE_NUMBER = 1e6
"""Numbers of 64 bits that are read as 32 bits are often larger."""


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
        return Embedded(vectors, counts_in(object_in(response).get("usage")).get("prompt_tokens"))

    async def close(self) -> None:
        await self._endpoint.close()


def _parse_vector(result: Any) -> list[float]:
    """Return a vector, which some endpoints send as numbers in Base64.

    Raises:
        TypeError, ValueError, OverflowError: The result is not a vector.
    """
    if isinstance(result, str):
        result = json_in(result) if result.startswith("[") else _numbers_in(bytes_in(result))
    return [float(number) for number in result]


def _numbers_in(content: bytes) -> Sequence[float]:
    """Return numbers of 32 bits, or of 64 bits as those of vLLM with NumPy."""
    numbers = array("f", content)
    is_plausible = all(abs(number) < MAX_PLAUSIBLE_NUMBER for number in numbers)  # not so if one is NaN
    return numbers if is_plausible else array("d", content)


def make_embedder(settings: Settings, model: EmbeddingModel) -> Embedder:
    """Create the embedder of a model.

    Raises:
        OperatorError: The provider class in EMBEDDING_MODEL cannot be imported.
    """
    if model.provider:
        custom: Embedder = make_custom(settings, model, "EMBEDDING_MODEL")
        return custom
    return OpenAIEmbedder(model, Timeouts.of(settings))
