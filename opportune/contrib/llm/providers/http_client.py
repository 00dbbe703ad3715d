"""HTTP client of an endpoint with OpenAI's API. Imported with the first request: httpx2 and the readers are slow."""

import asyncio
import logging
import re
import zlib
from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import Any, TypeVar

import httpx2

from opportune.config.llm_models import LlmModel
from opportune.contrib.llm.completion.request import Tools
from opportune.contrib.llm.providers.error_reader import error_for_status
from opportune.contrib.llm.providers.events import Event, EventReader
from opportune.contrib.llm.providers.mark_reader import PromptTemplate
from opportune.contrib.llm.providers.openai_stream import ChatCompletionReader
from opportune.contrib.llm.providers.provider import CHECK_URL, INTERRUPTED, UNPROXIED, Chunks, LlmError, Timeouts
from opportune.contrib.llm.providers.refused_parameters import RefusedParameters
from opportune.contrib.public_client import is_public, public_client
from opportune.web.remote_responses import read_body

logger = logging.getLogger(__name__)

MAX_REFUSAL_BYTES = 100_000
MAX_REQUESTS = 5
"""Maximum number of requests until an endpoint accepts the parameters of one."""
MAX_READ_BYTES = 50_000
"""Bytes to read before other tasks run. A decompressed bomb has millions of lines."""
MAX_INFLATED_BYTES = 1_000_000
"""Bytes to decompress in one step. Larger bodies are read in several."""
GZIP = b"\x1f\x8b"
"""Beginning of a gzip member."""
GZIP_WINDOW = zlib.MAX_WBITS | 16
"""Option of zlib that reads one."""
NOT_GZIP = re.compile(r"(?i)deflate|br|zstd|,")
"""Encodings that are left to httpx2."""
T = TypeVar("T")


class EndpointClient:
    """Client of one endpoint, with its connection pool. It follows no redirect."""

    def __init__(self, model: LlmModel, timeouts: Timeouts) -> None:
        key = model.api_key.get_secret_value().strip()
        self._headers = ({"Authorization": f"Bearer {key}"} if key else {}) | model.headers
        self._base_url = model.base_url
        self._timeouts = timeouts
        self._template = PromptTemplate()
        self._client = httpx2.AsyncClient(
            headers={"Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(None, connect=timeouts.connect, pool=timeouts.connect),
            trust_env=not model.base_url.startswith(UNPROXIED),
            verify=model.base_url.startswith("https:"),  # reading the certificates is slow
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def answer(self, parameters: RefusedParameters, tools: Tools, origin: str) -> Chunks:
        """Yield the answer of a chat model. `origin`: identifies endpoint and model."""
        answer = ChatCompletionReader(origin, tools, self._template)
        try:
            async with aclosing(self._events(parameters)) as events:
                async for event in events:
                    for chunk in answer.read(event):
                        yield chunk
                    if answer.is_over:
                        break
        except LlmError as error:
            # If it is finished, only the token counts are missing.
            if not (answer.is_finished or answer.recover(error.report)):
                raise
        for chunk in answer.read_pending():
            yield chunk
        done = answer.finish()
        parameters.remember()
        yield done

    async def _events(self, parameters: RefusedParameters) -> AsyncGenerator[Event, None]:
        deadline = Deadline(self._timeouts)
        with translate_errors():
            async with aclosing(await self._request(parameters, deadline, accept="text/event-stream")) as response:
                is_page = "html" in response.headers.get("Content-Type", "").lower()
                chunks = _decoded(response)
                reader = EventReader(is_page=is_page)
                while chunk := await deadline.wait_for(anext(chunks, b"")):
                    for start in range(0, len(chunk), MAX_READ_BYTES):
                        for event in reader.feed(chunk[start : start + MAX_READ_BYTES]):
                            deadline.restart_idle()
                            yield event
                        await deadline.wait_for(asyncio.sleep(0))
                for event in reader.finish():
                    yield event

    async def read(self, parameters: RefusedParameters, max_bytes: int, **content: Any) -> tuple[str, bytes | None]:
        """Return the media type and the body of a whole response. The body is None if it is too long.

        Args:
            parameters: JSON to send. Empty for a form.
            max_bytes: Maximum length of the body.
            content: Fields and files of a form.
        """
        deadline = Deadline(self._timeouts)
        with translate_errors():
            async with aclosing(await self._request(parameters, deadline, **content)) as response:
                body = await deadline.wait_for(read_body(_decoded(response), max_bytes))
        parameters.remember()
        return response.headers.get("Content-Type", ""), body

    async def fetch(self, url: str, max_bytes: int) -> bytes:
        """Return the content of a link in a response; none if it leads into a private network, or fails.

        Only the endpoint itself may be private. The key is not sent.
        """
        try:
            is_own = httpx2.URL(url).netloc == httpx2.URL(self._base_url).netloc
            is_allowed = (lambda _address: True) if is_own else is_public
            client = public_client(max_bytes=max_bytes, is_allowed=is_allowed)
            async with asyncio.timeout(self._timeouts.whole), client:
                response = await client.get(url)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError):
            return b""
        return response.content if response.is_success else b""

    async def _request(
        self, parameters: RefusedParameters, deadline: "Deadline", *, accept: str = "*/*", **content: Any
    ) -> httpx2.Response:
        """Send a request; repeat it without parameters that the endpoint refuses."""
        headers = {"Accept": accept} | self._headers
        for _ in range(MAX_REQUESTS):
            json = parameters.accepted() or None
            request = self._client.build_request("POST", parameters.url, json=json, headers=headers, **content)
            response = await deadline.wait_for(self._client.send(request, stream=True))
            if response.is_success:
                return response
            body: bytes | None = None
            async with aclosing(response):
                with suppress(httpx2.HTTPError, zlib.error):  # the status is enough
                    body = await deadline.wait_for(read_body(_decoded(response), MAX_REFUSAL_BYTES))
            error = error_for_status(response.status_code, body or b"", response.headers)
            if not parameters.change(response.status_code, error):
                raise error
        raise error


async def _decoded(response: httpx2.Response) -> AsyncGenerator[bytes, None]:
    """Yield the body. httpx2 reads neither several gzip members, nor gzip without its header or with another one."""
    is_other = NOT_GZIP.search(response.headers.get("Content-Encoding", ""))
    chunks = response.aiter_bytes() if is_other else response.aiter_raw()
    rest = b""
    while len(rest) < len(GZIP) and (chunk := await anext(chunks, b"")):
        rest += chunk
    if not rest.startswith(GZIP):
        yield rest
        async for chunk in chunks:
            yield chunk
        return
    inflater = zlib.decompressobj(GZIP_WINDOW)
    content = b""
    while rest or content or (rest := await anext(chunks, b"")):
        content = inflater.decompress(rest, MAX_INFLATED_BYTES)
        rest = inflater.unconsumed_tail or inflater.unused_data
        if content:
            yield content
        if inflater.eof:
            rest = rest.lstrip(b"\0")
            while len(rest) < len(GZIP) and (chunk := await anext(chunks, b"")):
                rest = (rest + chunk).lstrip(b"\0")
            if not rest.startswith(GZIP):  # not part of the body
                return
            inflater = zlib.decompressobj(GZIP_WINDOW)


class Deadline:
    """Deadline of the next chunk, and of the whole answer."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._idle = timeouts.idle
        self._now = asyncio.get_running_loop().time
        self._answer_deadline = self._now() + timeouts.whole
        self._chunk_deadline = min(self._now() + timeouts.first, self._answer_deadline)

    async def wait_for(self, step: Awaitable[T]) -> T:
        async with asyncio.timeout_at(self._chunk_deadline):
            return await step

    def restart_idle(self) -> None:
        self._chunk_deadline = min(self._now() + self._idle, self._answer_deadline)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn exceptions of httpx2 into LlmError, without their messages: these may contain the URL or the key."""
    try:
        yield
    except TimeoutError:
        raise LlmError("timeout", "The model took too long to answer.") from None
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, UnicodeError):
        raise LlmError(
            "not_configured",
            "The address or the key of the model's endpoint is malformed.",
            advice="Check LLM_BASE_URL and LLM_API_KEY.",
        ) from None
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
        logger.warning("the LLM endpoint cannot be reached: %s", error or type(error).__name__)
        raise LlmError("refused", "The model's endpoint cannot be reached.", advice=CHECK_URL) from None
    except (httpx2.HTTPError, zlib.error) as error:
        logger.warning("the LLM endpoint closed the connection: %s", type(error).__name__)
        raise LlmError("interrupted", INTERRUPTED) from None
