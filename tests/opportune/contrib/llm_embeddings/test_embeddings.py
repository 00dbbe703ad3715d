"""The embedding model of the site, with an endpoint on this machine."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from math import hypot
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from opportune.config.settings import Settings
from opportune.contrib.llm import Embedded, Embedder, EmbeddingModel, LlmError, SpendingRefused
from opportune.contrib.llm_embeddings.embeddings import Embeddings
from opportune.errors import OperatorError
from opportune.i18n import use_language
from opportune.testing.plugin import settings_for
from tests.opportune.contrib.llm.metering_guard import MeteringGuard
from tests.opportune.contrib.llm.providers.endpoint import response
from tests.opportune.contrib.llm_embeddings.embedding_endpoint import EmbeddingEndpoint, serve_embeddings


@pytest.fixture
async def endpoint(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EmbeddingEndpoint]:
    async with serve_embeddings(monkeypatch) as endpoint:
        yield endpoint


def settings_with(value: object, **values: Any) -> Settings:
    settings = settings_for("sqlite://")
    return Settings(**{**settings.model_dump(exclude_unset=True), "embedding_model": value, **values})


@asynccontextmanager
async def open_embeddings(
    endpoint: EmbeddingEndpoint, guard: Any = None, settings: dict[str, Any] | None = None, **model: Any
) -> AsyncIterator[Embeddings]:
    value = {"name": "small", "base_url": endpoint.address, **model}
    embeddings = Embeddings.of(settings_with(value, **(settings or {})), guard)
    assert embeddings is not None
    yield embeddings
    await embeddings.close()


async def test_embedding_name_uses_the_llm_endpoint(endpoint: EmbeddingEndpoint) -> None:
    settings = settings_with("small", llm_base_url=endpoint.address, llm_api_key=SecretStr("the-key"), llm_model="big")
    embeddings = Embeddings.of(settings)
    assert embeddings is not None
    first, second = await embeddings.embed_texts(["bread", "cat"])
    assert hypot(*first) == pytest.approx(1)
    assert first[0] > 0.9 > first[1]
    assert second[1] > 0.9
    assert endpoint.bodies == [{"model": "small", "input": ["bread", "cat"]}]
    assert all(part in endpoint.headers[0] for part in (b"/v1/embeddings", b"the-key"))
    await embeddings.close()


@pytest.mark.parametrize(
    "answer",
    [
        '{"data": [{"index": "1", "embedding": ["0", 1]}, {"index": "0", "embedding": [1, 0]}]}',
        '{"data": [{"embedding": "AACAPwAAAAA="}, {"embedding": "AAAAAAAAgD8="}]}',
        '{"output": {"embeddings": [{"text_index": 1, "embedding": [0, 1]}, {"text_index": 0, "embedding": [1, 0]}]}}',
        '{"predictions": [{"embeddings": {"values": [1, 0]}}, {"embeddings": {"values": [0, 1]}}]}',
        '{"data": [{"embedding": "VVVVVVVV1T8AAAAAAAAAAA=="}, {"embedding": "AAAAAAAAAABVVVVVVVXVPw=="}]}',
        'data: {"data": [{"embedding": [1, 0]}, {"embedding": "AAAAAAAAgD8"}]}',
    ],
)
async def test_embeddings_of_other_endpoints_are_read(endpoint: EmbeddingEndpoint, answer: str) -> None:
    endpoint.responses = [response("200 OK", answer.encode())]
    async with open_embeddings(endpoint) as embeddings:
        assert [[*vector] for vector in await embeddings.embed_texts(["a", "b"])] == [[1, 0], [0, 1]]


async def test_embedding_model_has_prefixes_and_no_key_of_the_llm(endpoint: EmbeddingEndpoint) -> None:
    model = {"dimensions": 16, "context_tokens": 256, "query_prefix": "query: ", "document_prefix": "passage: "}
    settings = {"llm_api_key": SecretStr("not-for-others")}
    async with open_embeddings(endpoint, settings=settings, **model) as embeddings:
        await embeddings.embed_texts(["x" * 5_000])
        await embeddings.embed_query(" a  cat ")
    assert [len(endpoint.texts[0]), endpoint.texts[1]] == [9 + 768, "query: a cat"]
    assert endpoint.bodies[0]["dimensions"] == 16
    assert not any(b"not-for-others" in head for head in endpoint.headers)


async def test_embedding_calls_are_counted_and_refused(endpoint: EmbeddingEndpoint) -> None:
    guard = MeteringGuard()
    async with open_embeddings(endpoint, guard, price_per_million_prompt_tokens=2) as embeddings:
        await asyncio.gather(*(embeddings.embed_query("bread") for _ in range(3)))
        await embeddings.embed_texts(["a", "b"])
        assert [(usage.prompt_tokens, usage.cost_micro) for _, usage in guard.usages] == [(3, 6), (6, 12)]
        guard.is_off = True
        assert await embeddings.embed_query("something else") is None
        with pytest.raises(SpendingRefused):
            await embeddings.embed_texts(["a"])
    assert len(endpoint.bodies) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"no JSON",
        b'{"data": [{"index": 0, "embedding": "AAAA"}]}',
        b'{"data": [{"index": 0, "embedding": [0, 0]}]}',
        b'{"data": [{"index": 0, "embedding": [1e999]}]}',
        b"[" * 100_000,
        b'{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1]}]}',
    ],
)
async def test_invalid_embedding_is_an_error(endpoint: EmbeddingEndpoint, answer: bytes) -> None:
    endpoint.responses = [response("200 OK", answer)]
    async with open_embeddings(endpoint) as embeddings:
        with pytest.raises(LlmError, match="EMBEDDING_MODEL: the response of the endpoint is not an embedding"):
            await embeddings.embed_texts(["a"])


async def test_unavailable_endpoint_is_paused(
    endpoint: EmbeddingEndpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.responses = [response("500 Oh"), response("500 Oh")]
    async with open_embeddings(endpoint) as embeddings:
        assert await embeddings.embed_query("bread") is None
        assert await embeddings.embed_query("cat") is None
        assert len(endpoint.bodies) == 1
        monkeypatch.setattr("opportune.contrib.llm_embeddings.queries.monotonic", lambda: 1e9)
        assert await embeddings.embed_query("bread") is None
        monkeypatch.setattr("opportune.contrib.llm_embeddings.queries.monotonic", lambda: 2e9)
        assert await embeddings.embed_query("bread")
        assert await embeddings.embed_query("ab") is None
    assert len([line for line in caplog.messages if line.startswith("EMBEDDING_MODEL is unavailable")]) == 1
    assert "EMBEDDING_MODEL is available again." in caplog.messages


async def test_embedding_error_hides_the_password(endpoint: EmbeddingEndpoint) -> None:
    address = endpoint.address.replace("://", "://ada:sesame@")
    assert "sesame" not in repr(settings_with({"name": "small", "base_url": address}, llm_base_url=address))
    endpoint.responses = [response("401 No")]
    async with open_embeddings(endpoint, base_url=address) as embeddings:
        with pytest.raises(LlmError) as caught:
            await embeddings.embed_texts(["bread"])
    with use_language("de"):
        assert caught.value.with_advice == "The model's endpoint refused the key. Check EMBEDDING_MODEL."


class LengthEmbedder(Embedder):
    """A custom embedder."""

    def __init__(self, settings: Settings, model: EmbeddingModel) -> None:
        self.is_closed = False

    async def embed(self, texts: Sequence[str]) -> Embedded:
        if texts == ["fails"]:
            raise RuntimeError("a bug")
        return Embedded([[1.0, float(len(text))] for text in texts])


async def test_custom_embedder_is_used(endpoint: EmbeddingEndpoint) -> None:
    async with open_embeddings(endpoint, provider=f"{__name__}:LengthEmbedder") as embeddings:
        assert [len(vector) for vector in await embeddings.embed_texts(["a", "b"])] == [2, 2]
        assert await embeddings.embed_query("fails") is None
    async with open_embeddings(endpoint, provider="nowhere:Nobody") as embeddings:
        with pytest.raises(OperatorError, match="EMBEDDING_MODEL: cannot import nowhere:Nobody for small"):
            await embeddings.embed_texts(["a"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("small", "EMBEDDING_MODEL: small needs a base_url"),
        ('{"name": "a", "base_url": "nowhere"}', "must be a URL"),
        ('{"name": "a", "dialect": "google"}', "Input should be 'openai'"),
    ],
)
def test_invalid_embedding_model_is_refused(value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings_with(value)


async def test_implausible_embedding_tokens_are_ignored(endpoint: EmbeddingEndpoint) -> None:
    guard = MeteringGuard()
    vector = json.dumps({"data": [{"index": 0, "embedding": [1.0]}], "usage": {"prompt_tokens": 10**15}})
    endpoint.responses = [response("200 OK", vector.encode())]
    async with open_embeddings(endpoint, guard) as embeddings:
        await embeddings.embed_texts(["bread"])
    ((_, usage),) = guard.usages
    assert (usage.prompt_tokens, usage.estimated_tokens) == (2, 2), "the estimate"
