"""Limits for responses that libraries read. Import this module where httpx2, which is slow, is imported anyway."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2


@dataclass
class _LimitedStream(httpx2.AsyncByteStream):
    stream: httpx2.AsyncByteStream
    max_bytes: int
    error: Exception

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self.stream:
            size += len(chunk)
            if size > self.max_bytes:
                raise self.error
            yield chunk

    async def aclose(self) -> None:
        await self.stream.aclose()


def limit_body(response: httpx2.Response, max_bytes: int, error: Exception) -> None:
    """Let the body of a response raise the error if it is too large.

    Args:
        response: A response of an asynchronous client, whose body is not read yet.
        max_bytes: Maximum size of the body.
        error: Raised while the body is read.
    """
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _LimitedStream(response.stream, max_bytes, error)


def is_compressed(response: httpx2.Response) -> bool:
    """Return whether a response can expand to any size."""
    return response.headers.get("Content-Encoding", "identity") != "identity"
