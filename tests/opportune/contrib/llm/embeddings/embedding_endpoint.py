"""An embeddings endpoint on 127.0.0.1, whose vectors represent a few groups of words with similar meaning."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from zlib import crc32

import pytest

from tests.opportune.contrib.llm.providers.endpoint import _length, response

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


class EmbeddingEndpoint:
    def __init__(self) -> None:
        self.address = ""
        self.bodies: list[dict[str, Any]] = []
        self.heads: list[bytes] = []
        self.responses: list[bytes] = []
        """Responses to send instead, one per request."""
        self.refused_word = ""
        """Texts that contain this word are rejected; empty for none."""
        self.may_respond = asyncio.Event()
        self.may_respond.set()

    @property
    def texts(self) -> list[str]:
        """All received texts."""
        return [text for body in self.bodies for text in body["input"]]

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            body = json.loads(await reader.readexactly(_length(head)))
            self.heads.append(head)
            self.bodies.append(body)
            await self.may_respond.wait()
            is_accepted = not any(self.refused_word and self.refused_word in text for text in body["input"])
            default_response = response("200 OK", _vectors(body)) if is_accepted else response("400 Bad Request")
            writer.write(self.responses.pop(0) if self.responses else default_response)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            """The client has disconnected."""
        finally:
            writer.close()


def _vectors(body: dict[str, Any]) -> bytes:
    texts = body["input"]
    data = [
        {"index": index, "embedding": vector_of(text, body.get("dimensions", DIMENSIONS))}
        for index, text in enumerate(texts)
    ]
    return json.dumps({"data": data[::-1], "usage": {"prompt_tokens": 3 * len(texts)}}).encode()


@asynccontextmanager
async def serve_embeddings(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EmbeddingEndpoint]:
    """Serve embeddings. Searches wait for them, because a late request would be recorded among later ones."""
    monkeypatch.setattr("opportune.contrib.llm.embeddings.embeddings.QUERY_TIMEOUT_SECONDS", 60)
    endpoint = EmbeddingEndpoint()
    async with await asyncio.start_server(endpoint.respond, "127.0.0.1", 0) as server:
        endpoint.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        yield endpoint
        endpoint.may_respond.set()
