"""Endpoints: their clients, which are created on first use because libraries are slow, and shorter conversations."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from opportune.config.llm_models import LlmModel
from opportune.contrib.llm.completion.request import first_answer
from opportune.contrib.llm.providers.errors import NOT_ACCEPTED, error_in
from opportune.contrib.llm.providers.provider import (
    CONTINUE,
    Chunk,
    LlmError,
    Message,
    Provider,
    Timeouts,
    estimate_prompt_tokens,
)
from opportune.contrib.llm.providers.refused_parameters import RefusedParameters

if TYPE_CHECKING:
    from opportune.contrib.llm.providers.http_client import EndpointClient

SHORTENED = "\n[The rest was left out, because it is too long.]"
MIN_RESULT_LENGTH = 500


class Client(Protocol):
    async def close(self) -> None: ...


C = TypeVar("C", bound=Client)


class LazyClient(Generic[C]):
    """A client that is created in a thread on first use."""

    def __init__(self, create: Callable[[], C]) -> None:
        self._create = create
        self._client: C | None = None
        self._lock = asyncio.Lock()

    async def open(self) -> C:
        async with self._lock:
            if self._client is None:
                self._client = await asyncio.to_thread(self._create)
            return self._client

    async def close(self) -> None:
        if self._client:
            await self._client.close()
            self._client = None


def connect(model: LlmModel, timeouts: Timeouts) -> "LazyClient[EndpointClient]":
    """Return the client of an endpoint with OpenAI's API."""

    def create() -> "EndpointClient":
        from opportune.contrib.llm.providers.http_client import EndpointClient  # takes 0.2 s; see there

        return EndpointClient(model, timeouts)

    return LazyClient(create)


class ModelEndpoint:
    """Endpoint of a model that answers as a whole, such as one for embeddings."""

    def __init__(self, setting: str, model: LlmModel, timeouts: Timeouts, read_seconds: float) -> None:
        """`setting`: name for the advice in errors. `read_seconds`: maximum wait for the response."""
        self._setting = setting
        self._url = model.base_url.rstrip("/")
        self._client = connect(model, replace(timeouts, first=read_seconds, idle=read_seconds))

    async def close(self) -> None:
        await self._client.close()

    async def post(
        self, path: str, max_bytes: int, *, json: Mapping[str, Any] | None = None, **form: Any
    ) -> tuple[str, bytes]:
        """Send JSON or a form, and return the media type and the body of the response.

        Raises:
            LlmError: The request failed.
        """
        client, parameters = await self._client.open(), RefusedParameters(f"{self._url}{path}", json or {})
        try:
            content_type, body = await client.read(parameters, max_bytes, **form)
        except LlmError as error:
            advice = f"Check {self._setting}."
            # A batch of texts that is too long is divided like another one that is rejected.
            if error.code in ("rejected", "context_too_long"):
                raise LlmError("rejected", NOT_ACCEPTED, error.retry_after, advice=advice) from None
            raise LlmError(error.code, error.args[0], error.retry_after, advice=advice) from None
        if body is None:
            raise LlmError("malformed", f"{self._setting}: the response of the endpoint is too long.")
        return content_type, body

    def failure(self, value: object, sentence: str) -> LlmError:
        """Return the error that a response without a result reports, also with status 200."""
        error = error_in(value) if isinstance(value, dict) else None
        error = error or LlmError("malformed", sentence)
        return LlmError(error.code, error.args[0], error.retry_after, advice=f"Check {self._setting} and its base_url.")


class RemoteProvider(Provider):
    """Provider whose model can be bound to a JSON Schema."""

    follows_schema = True

    def stream(self, messages: Sequence[Message], **options: Any) -> AsyncGenerator[Chunk, None]:
        """`options`: as those of `stream_with_tools`, which subclasses implement."""
        return self.stream_with_tools(messages, (), **options)


def compacted_answer(
    ask: Callable[[Sequence[Message]], AsyncGenerator[Chunk, None]], messages: Sequence[Message]
) -> AsyncGenerator[Chunk, None]:
    """Return an answer. If the endpoint refuses the conversation as too long, ask once more with a shorter one."""
    shorter = list[Message]()

    async def is_shorter(number: int, error: LlmError) -> bool:
        if number == 0 and error.code == "context_too_long":
            shorter.extend(compact(messages))
        return number == 0 and len(shorter) > 0 and shorter != [*messages]

    return first_answer((partial(ask, turns) for turns in (messages, shorter)), is_shorter)


def compact(messages: Sequence[Message]) -> list[Message]:
    """Leave out the oldest turns until half remains, then the ends of tool results.

    System messages and the last question remain. An answer and its question, or a call and its result, stay together.
    """
    budget = estimate_prompt_tokens(messages, ()) // 2
    system = [*takewhile(lambda turn: turn.role == "system", messages)]
    turns = [*messages[len(system) :]]
    questions = [index for index, turn in enumerate(turns) if turn.role == "user" and turn.content != CONTINUE]
    for start in questions[1:]:
        if estimate_prompt_tokens([*system, *turns], ()) <= budget:
            break
        turns = [*messages[len(system) + start :]]
    results = [turn for turn in turns if turn.role == "tool"]
    if results and estimate_prompt_tokens([*system, *turns], ()) > budget:
        length = max(MIN_RESULT_LENGTH, sum(len(turn.content) for turn in results) // len(results) // 2)
        turns = [_shorten(turn, length) if turn.role == "tool" else turn for turn in turns]
    return [*system, *turns]


def _shorten(turn: Message, length: int) -> Message:
    return replace(turn, content=turn.content[:length] + SHORTENED) if len(turn.content) > length else turn
