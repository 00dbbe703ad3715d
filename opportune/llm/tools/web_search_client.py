"""Asks the service of WEB_SEARCH_URL, and no other address: it follows no redirect.

Importing httpx takes 0.2 s, so nothing imports this module before somebody searches.
"""

import asyncio
import logging
from functools import cache
from ssl import SSLContext
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
from fastapi import HTTPException
from pydantic_core import from_json

from opportune.db.url.providers import is_local
from opportune.runtime.response_body import read_body

if TYPE_CHECKING:
    from opportune.llm.tools.web_search import SearchRequest, WebSearch

TIMEOUT_SECONDS = 10.0
"""For all of an answer, whatever trickles in."""
MAX_RESPONSE_BYTES = 2_000_000

logger = logging.getLogger(__name__)


class WebSearchFailed(HTTPException):
    """The web was not searched, in words that the model reads."""

    def __init__(self) -> None:
        super().__init__(424, "The web cannot be searched now. Say so if it matters, and answer with what you know.")


async def fetch(search: "WebSearch", request: "SearchRequest") -> Any:
    """The service's answer as JSON.

    Raises:
        WebSearchFailed: there is none; the log has why, without the key and what was looked for.
    """
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return from_json(await _read(request))
    except TimeoutError:
        fault = "takes too long"
    except httpx.HTTPStatusError as error:
        fault = _words(error.response.status_code)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        fault = f"cannot be reached ({type(error).__name__})"
    except ValueError:
        fault = "answers with something that is no JSON, or too much"
    logger.warning("WEB_SEARCH_URL: %s %s", search.host, fault)
    raise WebSearchFailed


async def _read(request: "SearchRequest") -> bytes:
    is_tls = request.url.startswith("https:")
    client = httpx.AsyncClient(
        timeout=TIMEOUT_SECONDS,
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        trust_env=not is_local(urlsplit(request.url).hostname or ""),
        verify=await asyncio.to_thread(_tls) if is_tls else False,
    )
    asked: dict[str, Any] = {
        "params": [*request.params],
        "headers": request.headers,
        "json": request.json,
        "auth": request.auth,
    }
    sent = {name: value for name, value in asked.items() if value}
    async with client, client.stream(request.method, request.url, **sent) as response:
        if response.status_code != httpx.codes.OK:
            raise httpx.HTTPStatusError("", request=response.request, response=response)
        body = await read_body(response.aiter_raw(), MAX_RESPONSE_BYTES)
    if body is None:
        raise ValueError("too much")
    return body


def _words(status: int) -> str:
    said = f"answers {status}"
    if status in (401, 403):
        return f"{said}: the key is wrong, or json is missing in search.formats of a SearXNG"
    if status == 429:
        return f"{said}: it is asked too often"
    return said


@cache  # it takes 80 ms
def _tls() -> SSLContext:
    return httpx.create_ssl_context()
