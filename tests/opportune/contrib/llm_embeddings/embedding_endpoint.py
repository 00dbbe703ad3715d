"""An embeddings endpoint on 127.0.0.1, whose vectors represent a few groups of words with similar meaning."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from zlib import crc32

import pytest

from tests.opportune.contrib.llm.providers.endpoint import FakeEndpoint, Step, response, serve

MEANINGS = (
    {"bread", "loaf", "baguette", "flour", "bakery"},
    {"cat", "kitten", "feline", "purr"},
    {"ship", "boat", "sailing", "harbour"},
    {"money", "price", "cheap", "invoice"},
)
DIMENSIONS = 64


def vector_of(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Return a vector with one dimension per meaning, and a small component for the text."""
    words = set(re.findall(r"\w+", text.lower()))
    counts = [float(len(words & meaning)) for meaning in MEANINGS]
    hash_index = crc32(text.encode()) % (dimensions - len(counts))
    return [*counts, *(0.1 * (index == hash_index) for index in range(dimensions - len(counts)))]


class EmbeddingEndpoint(FakeEndpoint):
    def __init__(self) -> None:
        super().__init__()
        self.responses: list[bytes] = []
        """Responses to send instead, one per request."""
        self.refused_word = ""
        """Texts that contain this word are rejected; empty for none."""
        self.may_respond = asyncio.Event()
        self.may_respond.set()

    @property
    def texts(self) -> list[str]:
        return [text for body in self.bodies for text in body["input"]]

    def steps_for(self, body: dict[str, Any]) -> Sequence[Step]:
        if self.responses:
            return (self.may_respond, self.responses.pop(0))
        is_refused = self.refused_word and any(self.refused_word in text for text in body["input"])
        return (self.may_respond, response("400 Bad Request") if is_refused else response("200 OK", _vectors(body)))


def _vectors(body: dict[str, Any]) -> bytes:
    dimensions = body.get("dimensions", DIMENSIONS)
    vectors = [vector_of(text, dimensions) for text in body["input"]]
    data = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return json.dumps({"data": data[::-1], "usage": {"prompt_tokens": 3 * len(vectors)}}).encode()


@asynccontextmanager
async def serve_embeddings(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EmbeddingEndpoint]:
    """Serve embeddings. Searches wait for them, because a late request would be recorded among later ones."""
    monkeypatch.setattr("opportune.contrib.llm_embeddings.queries.QUERY_TIMEOUT_SECONDS", 60)
    async with serve(EmbeddingEndpoint()) as endpoint:
        yield endpoint
        endpoint.may_respond.set()
