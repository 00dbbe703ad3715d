"""The HTTP side of an endpoint for embeddings. Importing httpx takes 0.2 s: nothing imports this before its time."""

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from opportune.llm.providers.errors import error_for_status
from opportune.llm.providers.http_client import Body, translate_errors
from opportune.llm.providers.provider import LLMError, Timeouts
from opportune.runtime.response_body import read_body

MAX_ANSWER_BYTES = 64_000_000
"""A batch of 64 vectors with 3,072 numbers has about 5 MB."""

logger = logging.getLogger(__name__)


class EmbeddingsClient:
    """Client of one endpoint, with its pool of connections."""

    def __init__(self, base_url: str, api_key: str, limits: Timeouts, headers: Mapping[str, str] | None = None) -> None:
        self._url = f"{base_url.rstrip('/')}/embeddings"
        self._limits = limits
        self._client = httpx.AsyncClient(
            headers=({"Authorization": f"Bearer {api_key}"} if api_key else {}) | dict(headers or {}),
            timeout=httpx.Timeout(limits.first, connect=limits.connect, pool=limits.connect),
            verify=self._url.startswith("https:"),  # reading the certificates takes 80 ms
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, body: Body) -> dict[str, Any]:
        """The answer, which is JSON of an object.

        Raises:
            LLMError: there is none.
        """
        with _by_its_setting(), translate_errors():
            async with asyncio.timeout(self._limits.whole), self._client.stream("POST", self._url, json=body) as answer:
                if answer.status_code != httpx.codes.OK:
                    logger.warning("the endpoint of EMBEDDING_MODEL answered %s", answer.status_code)
                    raise error_for_status(answer.status_code, answer.headers.get("Retry-After"))
                content = await read_body(answer.aiter_bytes(), MAX_ANSWER_BYTES)
        if content is None:
            raise LLMError("malformed", "EMBEDDING_MODEL: the endpoint does not stop sending.")
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise LLMError("malformed", "EMBEDDING_MODEL: the endpoint sent something that is no embedding.")
        return found


@contextmanager
def _by_its_setting() -> Iterator[None]:
    """Name EMBEDDING_MODEL in the advice, instead of the settings of the chat's endpoint."""
    try:
        yield
    except LLMError as error:
        raise LLMError(error.code, str(error), error.retry_after, advice="Check EMBEDDING_MODEL.") from None
