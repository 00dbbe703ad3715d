"""Limits for responses that libraries read. Import this module where httpx2 is imported anyway: it takes 0.2 s."""

from collections.abc import AsyncIterator

import httpx2


class BoundedStream(httpx2.AsyncByteStream):
    """Body of a response that fails as soon as it is too large."""

    def __init__(
        self, stream: httpx2.AsyncByteStream, max_bytes: int, error: Exception, max_line_bytes: int | None = None
    ) -> None:
        """`max_line_bytes`: maximum bytes without a line break, by default `max_bytes`."""
        self._stream = stream
        self._max_bytes, self._max_line_bytes = max_bytes, max_line_bytes or max_bytes
        self._error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = line_size = 0
        async for chunk in self._stream:
            size += len(chunk)
            line_size = len(chunk) - chunk.rfind(b"\n") - 1 if b"\n" in chunk else line_size + len(chunk)
            if size > self._max_bytes or line_size > self._max_line_bytes:
                raise self._error
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def is_compressed(response: httpx2.Response) -> bool:
    """Return whether a response can expand to any size."""
    return response.headers.get("Content-Encoding", "identity") != "identity"
