"""The HTTP side of an OpenAI-compatible endpoint.

Importing httpx takes 0.2 s, so nothing imports this module before the first question; see `openai_compatible`.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import httpx

from opportune.llm.errors import error_for_status
from opportune.llm.provider import LLMError, Timeouts

logger = logging.getLogger(__name__)

MAX_LINE_BYTES = 1_000_000
Body = Mapping[str, object]
T = TypeVar("T")


class ChatCompletionsClient:
    """Client of one chat completions endpoint, with its pool of connections."""

    def __init__(self, url: str, api_key: str, limits: Timeouts, *, through_proxy: bool) -> None:
        self._url = url
        self._api_key = api_key
        self._limits = limits
        self._client = httpx.AsyncClient(
            headers={"Accept": "text/event-stream", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(None, connect=limits.connect, pool=limits.connect),
            trust_env=through_proxy,
            verify=url.startswith("https:"),  # reading the certificates takes 80 ms
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def events(self, body: Body) -> AsyncGenerator[bytes, None]:
        """Yield the data of each event of the answer.

        httpx-sse is not used: it puts U+FFFD for bytes that are not UTF-8 and takes lines of any length.
        """
        wait = _Deadline(self._limits)
        with translate_errors():
            async with self._response(body, wait) as response:
                chunks = response.aiter_bytes()
                line = b""
                while chunk := await wait.over(anext(chunks, b"")):
                    *lines, line = (line + chunk).split(b"\n")
                    if len(line) > MAX_LINE_BYTES:
                        raise LLMError("malformed", "The model's endpoint sent something that is not an answer.")
                    for data in _data_of(lines):
                        wait.begin_again()
                        yield data

    @asynccontextmanager
    async def _response(self, body: Body, wait: "_Deadline") -> AsyncIterator[httpx.Response]:
        headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        request = self._client.build_request("POST", self._url, json=body, headers=headers)
        response = await wait.over(self._client.send(request, stream=True))
        try:
            _refuse_unless_events(response)
            yield response
        finally:
            await response.aclose()


class _Deadline:
    """Bounds every step of an answer, whatever trickles in between."""

    def __init__(self, limits: Timeouts) -> None:
        self._idle = limits.idle
        self._now = asyncio.get_running_loop().time
        self._end = self._now() + limits.whole
        self._until = min(self._now() + limits.first, self._end)

    async def over(self, step: Awaitable[T]) -> T:
        async with asyncio.timeout_at(self._until):
            return await step

    def begin_again(self) -> None:
        self._until = min(self._now() + self._idle, self._end)


def _data_of(lines: Iterable[bytes]) -> Iterator[bytes]:
    return (line.removeprefix(b"data:").strip() for line in lines if line.startswith(b"data:"))


def _refuse_unless_events(response: httpx.Response) -> None:
    if response.status_code != httpx.codes.OK:
        logger.warning("the LLM endpoint answered %s", response.status_code)
        raise error_for_status(response.status_code, response.headers.get("Retry-After"))
    if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
        raise LLMError("malformed", "LLM_BASE_URL answers, but not as a language model does: check the address.")


@contextmanager
def translate_errors() -> Iterator[None]:
    """Hide what httpx says: it may hold the address or the key."""
    try:
        yield
    except TimeoutError:
        raise LLMError("timeout", "The model took too long to answer.") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError):
        raise LLMError("not_configured", "LLM_BASE_URL or LLM_API_KEY is malformed.") from None
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        logger.warning("the LLM endpoint cannot be reached: %s", error or type(error).__name__)
        raise LLMError("refused", "The model's endpoint cannot be reached: check LLM_BASE_URL.") from None
    except httpx.HTTPError as error:
        logger.warning("the LLM endpoint broke off: %s", type(error).__name__)
        raise LLMError("interrupted", "The answer broke off before its end.") from None
