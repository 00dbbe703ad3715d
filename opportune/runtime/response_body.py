"""Reading of responses from other servers, with a size limit."""

from collections.abc import AsyncIterable


async def read_body(chunks: AsyncIterable[bytes], max_bytes: int) -> bytes | None:
    """Return the whole body, or None as soon as it exceeds `max_bytes`."""
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if len(content) > max_bytes:
            return None
    return bytes(content)
