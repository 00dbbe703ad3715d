"""Lookup of passwords in a list of known data breaches, such as Have I Been Pwned."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

LOOKUP_SECONDS = 2.0
"""Time limit of the whole lookup, because the user waits for it."""
PREFIX_LENGTH = 5

logger = logging.getLogger(__name__)


async def is_breached(url: str, password: str) -> bool:
    """Return whether the service at `url` lists the password as breached, by the protocol of Have I Been Pwned.

    Only the first five characters of the password's SHA-1 hash are sent (k-anonymity). The service returns all hashes
    with this prefix, and invented ones, so that the size of the response does not reveal the prefix.

    If the service fails or is too slow, the result is False, so that users can still register. The failure is logged.
    """
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
    try:
        async with asyncio.timeout(LOOKUP_SECONDS):
            return await asyncio.to_thread(_is_listed, url, digest)
    except OSError as error:
        reason = str(error) or type(error).__name__
        logger.warning("Breached passwords could not be looked up at %s: %s", urlsplit(url).hostname, reason)
        return False


def _is_listed(url: str, digest: str) -> bool:
    """Ask the service for all hashes with the same prefix.

    Raises:
        OSError: The service cannot be reached.
    """
    import httpx2  # slow, so it runs in this thread

    # All services expect the prefix at the end of the path.
    range_url = f"{url.rstrip('/')}/{digest[:PREFIX_LENGTH]}"
    headers = {"Add-Padding": "true", "User-Agent": "opportune"}
    try:
        with httpx2.stream("GET", range_url, headers=headers, timeout=LOOKUP_SECONDS) as response:
            if not response.is_success:
                raise OSError(f"status {response.status_code}")
            return any(_matches(line, digest[PREFIX_LENGTH:]) for line in _until_deadline(response.iter_lines()))
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise OSError(type(error).__name__) from error


def _until_deadline(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a response.

    Raises:
        TimeoutError: The time is over, so that the thread ends. httpx2 limits each read, but not the total time.
    """
    deadline = time.monotonic() + LOOKUP_SECONDS
    for line in lines:
        if time.monotonic() > deadline:
            raise TimeoutError("the response took too long")
        yield line


def _matches(line: str, suffix: str) -> bool:
    """Return whether a line such as `0018A45C…:3` has this hash. Lines of the padding have the count 0."""
    line_suffix, _, count = line.strip().partition(":")
    return line_suffix.upper() == suffix and count.strip() not in ("", "0")
