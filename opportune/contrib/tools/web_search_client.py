"""HTTP client of the service in WEB_SEARCH_URL. It requests no other address and follows no redirects.

Importing httpx2 is slow, so this module is imported with the first search.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2
from fastapi import HTTPException
from pydantic_core import from_json

from opportune.db.url.providers import is_local
from opportune.web.remote_responses import read_body, tls_context

TIMEOUT_SECONDS = 10.0
"""Timeout of the complete response."""
MAX_RESPONSE_BYTES = 2_000_000

logger = logging.getLogger(__name__)


class WebSearchFailed(HTTPException):
    """Failed web search, with a message for the model."""

    def __init__(self) -> None:
        super().__init__(424, "The web cannot be searched now. Say so if it matters, and answer without a search.")


async def fetch(method: str, url: str, options: Mapping[str, Any]) -> Any:
    """Return the JSON response of the service.

    Raises:
        WebSearchFailed: The request failed. The reason is logged, without the key and the query.
    """
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return from_json(await _read(method, url, options))
    except TimeoutError:
        fault = "takes too long"
    except httpx2.HTTPStatusError as error:
        fault = _describe_status(error.response.status_code)
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
        fault = f"cannot be reached ({type(error).__name__})"
    except ValueError:
        fault = "sent a response that is too long or not JSON"
    logger.warning("WEB_SEARCH_URL: %s %s", urlsplit(url).hostname, fault)  # the URL may contain secrets
    raise WebSearchFailed


async def _read(method: str, url: str, options: Mapping[str, Any]) -> bytes:
    parts = urlsplit(url)
    client = httpx2.AsyncClient(
        timeout=TIMEOUT_SECONDS,
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        trust_env=not is_local(parts.hostname or ""),
        verify=await asyncio.to_thread(tls_context) if parts.scheme == "https" else False,
    )
    async with client, client.stream(method, url, **options) as response:
        if response.status_code != httpx2.codes.OK:
            raise httpx2.HTTPStatusError("", request=response.request, response=response)
        body = await read_body(response.aiter_raw(), MAX_RESPONSE_BYTES)
    if body is None:
        raise ValueError("too long")
    return body


def _describe_status(status: int) -> str:
    fault = f"responded with {status}"
    if status in (401, 403):
        return f"{fault}: the key is wrong, or json is missing in search.formats of a SearXNG"
    return f"{fault}: too many requests" if status == 429 else fault
