"""Requests to other servers: their certificates, bodies with a size limit, and Retry-After headers."""

import re
from collections.abc import AsyncIterable, Mapping, Sequence
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

WAIT_FIELD = re.compile(r".*retry-?(after|delay)|estimatedtime")
WORDED_DURATION = r"\d[\dhms.]*+(?!-) ?[hms]{0,2}"
RESET_FIELD = re.compile(r"reset|timeremaining|ratelimit$")
RESET = re.compile(r"^.*\b(?:reset|t)=([^;,]+).*")
"""Wait in `RateLimit: limit=10, remaining=0, reset=30`."""
WAIT = re.compile(
    rf"(?:(?:again|retry|resets?) (?:in|after|at)|wait(?: for| until)?|请在) (\d{{4}}-[\dtz:.+-]+|{WORDED_DURATION})"
)


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


def seconds_to_wait(texts: Sequence[tuple[str, str]], *, is_limited: bool) -> float | None:
    """Return the wait that an error requests, such as `"retryDelay": "34s"` or `Please try again in 7.66s.`

    Args:
        texts: Names in lower case and texts of headers and of fields in the body.
        is_limited: The error is a rate limit, so that its reset counts.
    """
    for field, text in texts:
        seconds = retry_after_seconds(_wait_in(field, text))
        if seconds is not None:
            return seconds
    return _seconds_until_reset(dict(texts)) if is_limited else None


def _seconds_until_reset(limits: Mapping[str, str]) -> float | None:
    """Return the wait until all exhausted limits are reset, or the shortest one if none is known to be exhausted."""
    resets = ((name, RESET.sub(r"\1", text)) for name, text in limits.items() if RESET_FIELD.search(name))
    waits = {name: retry_after_seconds(text) for name, text in resets}
    exhausted = [wait for name, wait in waits.items() if wait and limits.get(name.replace("reset", "remaining")) == "0"]
    return max(exhausted, default=min(filter(None, waits.values()), default=None))


def _wait_in(field: str, text: str) -> str:
    if WAIT_FIELD.match(field):
        if field.endswith("ms") and text.isdecimal():
            return f"{text}ms"
        wait = re.match(f"(?:pt)?({WORDED_DURATION})", text)  # the first of several, also in words or of ISO 8601
        return wait[1] if wait else text
    wait = WAIT.search(text)
    return wait[1].rstrip(". ") if wait else ""
