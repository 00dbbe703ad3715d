"""Heartbeats to an external monitor, which alerts the operator when they stop."""

import asyncio
import logging
from urllib.parse import urlsplit

HEARTBEAT_TIMEOUT_SECONDS = 10

logger = logging.getLogger(__name__)


async def send_heartbeat(url: str) -> None:
    """Call the address. A failure is logged and does not fail the job."""
    if reason := await asyncio.to_thread(_call, url):
        # Log only the host: the path of such addresses is secret.
        logger.warning("The heartbeat did not reach %s: %s", urlsplit(url).hostname or "its address", reason)


def _call(url: str) -> str:
    """Return the reason of a failure; empty for success."""
    import httpx2  # takes 0.2 s, in this thread

    try:
        response = httpx2.get(url, timeout=HEARTBEAT_TIMEOUT_SECONDS)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        return type(error).__name__
    return "" if response.is_success else f"status {response.status_code}"
