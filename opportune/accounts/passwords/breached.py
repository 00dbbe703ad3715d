"""Lookup of passwords in published data breaches, by the k-anonymity protocol of Have I Been Pwned.

Only the first five characters of the password's SHA-1 leave the site. The service returns every known hash that begins
with them, padded with invented ones, so that neither the question nor the length of the response reveals the password.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx

BREACH_LOOKUP_SECONDS = 2.0
"""Time for the whole lookup: the user waits for it."""
PREFIX_LENGTH = 5

logger = logging.getLogger(__name__)


async def is_breached(url: str, password: str) -> bool:
    """Return whether the service at `url` knows the password from a breach.

    A service that fails or is slow must not keep anybody from registering: the result is then False, with a warning in
    the log.
    """
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
    try:
        return await asyncio.to_thread(_is_listed, url, digest)
    except OSError as error:
        reason = str(error) or type(error).__name__
        logger.warning("Breached passwords could not be looked up at %s: %s", urlsplit(url).hostname, reason)
        return False


def _is_listed(url: str, digest: str) -> bool:
    """Raises OSError."""
    import httpx  # noqa: PLC0415 - takes 0.2 s, in this thread

    # The end of the address varies: services take the prefix as the last part of the path.
    address = f"{url.rstrip('/')}/{digest[:PREFIX_LENGTH]}"
    headers = {"Add-Padding": "true", "User-Agent": "opportune"}
    try:
        with httpx.stream("GET", address, headers=headers, timeout=BREACH_LOOKUP_SECONDS) as response:
            if not response.is_success:
                raise OSError(f"status {response.status_code}")
            return any(_matches(line, digest[PREFIX_LENGTH:]) for line in _lines(response))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OSError(type(error).__name__) from error


def _lines(response: "httpx.Response") -> Iterator[str]:
    """Lines of the response until the time is over: httpx limits each read, but not their sum. Raises TimeoutError."""
    deadline = time.monotonic() + BREACH_LOOKUP_SECONDS
    for line in response.iter_lines():
        if time.monotonic() > deadline:
            raise TimeoutError("the response took too long")
        yield line


def _matches(line: str, suffix: str) -> bool:
    """Return whether a line such as `0018A45C…:3` names this hash. Invented lines of the padding have a count of 0."""
    found, _, count = line.strip().partition(":")
    return found.upper() == suffix and count.strip() not in ("", "0")
