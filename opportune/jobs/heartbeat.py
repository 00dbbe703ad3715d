"""Tells a monitor elsewhere that something went well: it raises the alarm when nothing comes any more."""

import asyncio
import logging
from urllib.parse import urlsplit

HEARTBEAT_TIMEOUT_SECONDS = 10

logger = logging.getLogger(__name__)


async def send_heartbeat(url: str) -> None:
    """Call the address. That it cannot be called is a line in the log, and no error: the work itself went well."""
    if reason := await asyncio.to_thread(_call, url):
        # Without its path, which is the secret of such addresses.
        logger.warning("The heartbeat did not reach %s: %s", urlsplit(url).hostname or "its address", reason)


def _call(url: str) -> str:
    """The reason why it was not taken, or nothing."""
    import httpx  # noqa: PLC0415 - takes 0.2 s, in this thread

    try:
        answer = httpx.get(url, timeout=HEARTBEAT_TIMEOUT_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return type(error).__name__
    return "" if answer.is_success else f"it answered {answer.status_code}"
