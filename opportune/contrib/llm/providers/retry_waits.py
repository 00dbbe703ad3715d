"""Waits that endpoints request before the next attempt, in headers, fields and sentences."""

import re
from collections.abc import Mapping, Sequence

from opportune.web.remote_responses import retry_after_seconds

WAIT_FIELD = re.compile(r".*retry-?(after|delay)|estimatedtime")
"""Names with a wait, such as `Retry-After-Ms` and `retryDelay`."""
WORDED_DURATION = r"\d[\dhms.]*+(?!-) ?[hms]{0,2}"
"""A duration such as `1m26.4s` or `5 m`, and not the year of a date."""
WAIT = re.compile(
    rf"(?:(?:again|retry|resets?) (?:in|after|at)|wait(?: for| until)?|请在) (\d{{4}}-[\dtz:.+-]+|{WORDED_DURATION})"
)
"""A wait in a sentence, such as `Please try again in 7.66s.`"""
RESET_FIELD = re.compile(r"reset|timeremaining|ratelimit$")
"""Names with the time at which a limit is reset, such as `X-RateLimit-Reset`."""
RESET = re.compile(r"^.*\b(?:reset|t)=([^;,]+).*")
"""Wait in `RateLimit: limit=10, remaining=0, reset=30`."""


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
