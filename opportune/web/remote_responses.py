"""Requests to other servers: their certificates, bodies with a size limit, and Retry-After headers."""

import re
from collections.abc import AsyncIterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from ssl import SSLContext

MAX_RETRY_AFTER_SECONDS = 3600.0
NUMBER = r"(\d{1,20}(?:\.\d{1,20})?) ?"
DURATION = re.compile(rf"(?:{NUMBER}h)?(?:{NUMBER}m)?(?:{NUMBER}(?:s|$))?(?:{NUMBER}ms)?")
MIN_UNIX_TIME = 10**9
"""Larger durations are times since 1970."""
SECONDS_OF_UNITS = (3600, 60, 1, 0.001)


@cache
def tls_context() -> SSLContext:
    """Return the certificates for all requests. Reading them takes up to 80 ms, once."""
    import httpx2  # slow, and callers have imported it

    return httpx2.create_ssl_context()


async def read_body(chunks: AsyncIterable[bytes], max_bytes: int) -> bytes | None:
    """Return the whole body, or None as soon as it exceeds `max_bytes`."""
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if len(content) > max_bytes:
            return None
    return bytes(content)


def retry_after_seconds(header: str | None) -> float | None:
    """Return the seconds of a Retry-After header, at most an hour; None if it is neither a duration nor a date.

    Durations are seconds, or have units, such as `1m26.4s` and `500ms`. Dates are those of HTTP or ISO 8601, or Unix
    times in seconds or milliseconds.
    """
    if not header:
        return None
    duration = DURATION.fullmatch(header)
    try:
        seconds = _to_seconds(duration) if duration else _seconds_until(header)
    except (ValueError, OverflowError):  # a year or a time zone far away
        return None
    if seconds >= 1000 * MIN_UNIX_TIME:
        seconds /= 1000
    if seconds >= MIN_UNIX_TIME:
        seconds -= datetime.now(UTC).timestamp()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def _to_seconds(duration: re.Match[str]) -> float:
    return sum(float(number or 0) * unit for number, unit in zip(duration.groups(), SECONDS_OF_UNITS, strict=True))


def _seconds_until(date: str) -> float:
    moment = datetime.fromisoformat(date.upper()) if date[:1].isdecimal() else parsedate_to_datetime(date)
    # A date that ends in -0000 comes without a time zone; HTTP dates are UTC.
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
