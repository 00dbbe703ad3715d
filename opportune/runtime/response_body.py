"""What other servers answer, read as far as a bound."""

from collections.abc import AsyncIterable


async def read_body(chunks: AsyncIterable[bytes], max_bytes: int) -> bytes | None:
    """Read all chunks of an answer; None as soon as there is more than that: one without an end is not waited for."""
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if len(content) > max_bytes:
            return None
    return bytes(content)
