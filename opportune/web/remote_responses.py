"""Responses of other servers: bodies with a size limit, and Retry-After headers."""

from collections.abc import AsyncIterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_SECONDS = 3600.0


async def read_body(chunks: AsyncIterable[bytes], max_bytes: int) -> bytes | None:
    """Return the whole body, or None as soon as it exceeds `max_bytes`."""
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if len(content) > max_bytes:
            return None
    return bytes(content)


def retry_after_seconds(header: str | None) -> float | None:
    """Return the seconds of a Retry-After header, at most an hour; None if it is neither seconds nor a date."""
    if not header:
        return None
    try:
        seconds = float(header) if header.isdecimal() else _seconds_until(parsedate_to_datetime(header))
    except ValueError:
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def _seconds_until(moment: datetime) -> float:
    # A date that ends in -0000 comes without a time zone; HTTP dates are UTC.
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
