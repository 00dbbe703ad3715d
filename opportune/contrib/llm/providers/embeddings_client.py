"""HTTP client of an embeddings endpoint. Imported with the first request, because importing httpx2 takes 0.2 s."""

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2

from opportune.contrib.llm.providers.errors import NO_EMBEDDING, error_for_status
from opportune.contrib.llm.providers.http_client import translate_errors
from opportune.contrib.llm.providers.provider import LlmError, Timeouts
from opportune.contrib.llm.providers.refused_parameters import Body
from opportune.web.remote_responses import read_body

MAX_RESPONSE_BYTES = 64_000_000
"""A batch of 64 vectors with 3,072 numbers has about 5 MB."""

logger = logging.getLogger(__name__)


class EmbeddingsClient:
    """Client of one endpoint, with its connection pool."""

    def __init__(self, base_url: str, api_key: str, limits: Timeouts, headers: Mapping[str, str] | None = None) -> None:
        self._url = f"{base_url.rstrip('/')}/embeddings"
        self._timeouts = limits
        self._client = httpx2.AsyncClient(
            headers=({"Authorization": f"Bearer {api_key}"} if api_key else {}) | dict(headers or {}),
            timeout=httpx2.Timeout(limits.first, connect=limits.connect, pool=limits.connect),
            verify=self._url.startswith("https:"),  # reading the certificates takes 80 ms
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def post(self, body: Body) -> dict[str, Any]:
        """Return the JSON object of the response.

        Raises:
            LlmError: The request failed.
        """
        url, timeouts = self._url, self._timeouts
        with _embedding_advice(), translate_errors():
            async with asyncio.timeout(timeouts.whole), self._client.stream("POST", url, json=body) as response:
                if response.status_code != httpx2.codes.OK:
                    logger.warning("the endpoint of EMBEDDING_MODEL responded with %s", response.status_code)
                    raise error_for_status(response.status_code, response.headers.get("Retry-After"))
                content = await read_body(response.aiter_bytes(), MAX_RESPONSE_BYTES)
        if content is None:
            raise LlmError("malformed", "EMBEDDING_MODEL: the response of the endpoint is too long.")
        try:
            data = json.loads(content)
        except (ValueError, RecursionError):  # no JSON, or nested too deeply
            data = None
        if not isinstance(data, dict):
            raise LlmError("malformed", NO_EMBEDDING)
        return data


@contextmanager
def _embedding_advice() -> Iterator[None]:
    """Name EMBEDDING_MODEL in the advice, instead of the settings of the chat endpoint."""
    try:
        yield
    except LlmError as error:
        raise LlmError(error.code, error.args[0], error.retry_after, advice="Check EMBEDDING_MODEL.") from None
