"""HTTP client of an OpenAI-compatible endpoint.

Importing httpx2 takes 0.2 s, so `openai_compatible` imports this module with the first question.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TypeVar

import httpx2

from opportune.contrib.llm.providers.errors import error_for_status
from opportune.contrib.llm.providers.provider import INTERRUPTED, LlmError, Timeouts
from opportune.i18n import format_lazy
from opportune.web.remote_responses import read_body

logger = logging.getLogger(__name__)

MAX_LINE_BYTES = 1_000_000
MAX_REFUSAL_BYTES = 100_000
CHECK_URL = "Check LLM_BASE_URL."
REFUSAL_STATUSES = (httpx2.codes.BAD_REQUEST, httpx2.codes.UNPROCESSABLE_CONTENT)
USAGE_OPTION = "stream_options"
"""Parameter that requests token counts. Some endpoints, such as Mistral's, always report them and reject it."""
ACCEPTS_USAGE_OPTION: dict[str, bool] = {}
"""By URL: True if the endpoint accepts that parameter."""
Body = Mapping[str, object]
T = TypeVar("T")


class ChatCompletionsClient:
    """Client of one chat completions endpoint, with its connection pool."""

    def __init__(
        self,
        url: str,
        api_key: str,
        timeouts: Timeouts,
        *,
        through_proxy: bool = True,
        headers: Mapping[str, str] | None = None,
        optional_parameters: Sequence[str] = (),
    ) -> None:
        """`optional_parameters`: parameters to name in the error if the endpoint rejects one of them."""
        self._url = url
        self._headers = ({"Authorization": f"Bearer {api_key}"} if api_key else {}) | dict(headers or {})
        self._timeouts = timeouts
        self._optional_parameters = optional_parameters
        self._client = httpx2.AsyncClient(
            headers={"Accept": "text/event-stream", "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(None, connect=timeouts.connect, pool=timeouts.connect),
            trust_env=through_proxy,
            verify=url.startswith("https:"),  # reading the certificates takes 80 ms
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def events(self, body: Body) -> AsyncGenerator[bytes, None]:
        """Yield the data of each event of the answer.

        httpx-sse is not used: it replaces invalid UTF-8 by U+FFFD and accepts lines of any length.
        """
        deadline = _Deadline(self._timeouts)
        with translate_errors():
            async with self._response(body, deadline) as response:
                chunks = response.aiter_bytes()
                line = b""
                while chunk := await deadline.wait_for(anext(chunks, b"")):
                    *lines, line = (line + chunk).split(b"\n")
                    if len(line) > MAX_LINE_BYTES:
                        raise LlmError("malformed", "The model's endpoint sent something that is not an answer.")
                    for data in _event_data(lines):
                        deadline.restart_idle()
                        yield data

    @asynccontextmanager
    async def _response(self, body: Body, deadline: "_Deadline") -> AsyncIterator[httpx2.Response]:
        response = await self._request(body, deadline)
        try:
            _require_event_stream(response)
            yield response
        finally:
            await response.aclose()

    async def _request(self, body: Body, deadline: "_Deadline") -> httpx2.Response:
        """Send a request; repeat it without `stream_options` if the endpoint rejects them."""
        body_without_option = {name: value for name, value in body.items() if name != USAGE_OPTION}
        accepts_option = ACCEPTS_USAGE_OPTION.get(self._url)
        response = await self._send(body_without_option if accepts_option is False else body, deadline)
        if response.status_code not in REFUSAL_STATUSES:
            if response.is_success:
                ACCEPTS_USAGE_OPTION.setdefault(self._url, True)
            return response
        refusal = await self._read_refusal(response, deadline)
        if accepts_option is False or not (accepts_option is None or USAGE_OPTION in refusal):
            raise self._refusal_error(response, refusal)
        response = await self._send(body_without_option, deadline)
        if response.status_code in REFUSAL_STATUSES:
            raise self._refusal_error(response, await self._read_refusal(response, deadline))
        if response.is_success:
            logger.info("the LLM endpoint rejects %s; later requests omit it", USAGE_OPTION)
            ACCEPTS_USAGE_OPTION[self._url] = False
        return response

    async def _send(self, body: Body, deadline: "_Deadline") -> httpx2.Response:
        request = self._client.build_request("POST", self._url, json=body, headers=self._headers)
        return await deadline.wait_for(self._client.send(request, stream=True))

    async def _read_refusal(self, response: httpx2.Response, deadline: "_Deadline") -> str:
        content: bytes | None = None
        try:
            with suppress(httpx2.HTTPError):  # the status is enough
                content = await deadline.wait_for(read_body(response.aiter_bytes(), MAX_REFUSAL_BYTES))
        finally:
            await response.aclose()
        return (content or b"").decode(errors="replace")

    def _refusal_error(self, response: httpx2.Response, refusal: str) -> LlmError:
        name = next((name for name in self._optional_parameters if re.search(rf"\b{re.escape(name)}\b", refusal)), "")
        logger.warning("the LLM endpoint responded with %s%s", response.status_code, name and f" and rejects {name}")
        if name:
            sentence = format_lazy("The model's endpoint rejects the parameter %(name)s.", name=name)
            return LlmError("rejected", sentence, advice=f"Remove {name} from this model in LLM_MODELS.")
        return error_for_status(response.status_code)


class _Deadline:
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


def _event_data(lines: Iterable[bytes]) -> Iterator[bytes]:
    return (line.removeprefix(b"data:").strip() for line in lines if line.startswith(b"data:"))


def _require_event_stream(response: httpx2.Response) -> None:
    if response.status_code != httpx2.codes.OK:
        logger.warning("the LLM endpoint responded with %s", response.status_code)
        raise error_for_status(response.status_code, response.headers.get("Retry-After"))
    if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
        raise LlmError("malformed", "The model's endpoint is not a language model.", advice=CHECK_URL)


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
    except httpx2.HTTPError as error:
        logger.warning("the LLM endpoint closed the connection: %s", type(error).__name__)
        raise LlmError("interrupted", INTERRUPTED) from None
