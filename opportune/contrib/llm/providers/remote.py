"""Endpoints: their clients, which are created on first use because libraries are slow, and shorter conversations."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from opportune.config.llm_models import LlmModel
from opportune.contrib.llm.completion.streams import first_answer
from opportune.contrib.llm.providers import provider

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


def url_of(base_url: str, path: str) -> str:
    """Return the URL of a path, before the query of a base URL such as Azure's `?api-version=2024-10-21`."""
    base, mark, query = base_url.partition("?")
    return f"{base.rstrip('/').removesuffix('/chat/completions')}{path}{mark}{query}"


def connect(model: LlmModel, timeouts: provider.Timeouts) -> "LazyClient[EndpointClient]":
    """Return the client of an endpoint with OpenAI's API."""

    def create() -> "EndpointClient":
        from opportune.contrib.llm.providers.http_client import EndpointClient  # slow; see there

        return EndpointClient(model, timeouts)

    return LazyClient(create)


class RemoteProvider(provider.Provider):
    """Provider for one endpoint and model, which can be bound to a JSON Schema. It does not retry."""

    follows_schema = True

    def __init__(self, model: LlmModel) -> None:
        self.name = model.name
        self.sees_images = model.sees_images
        self.context_budget = model.max_prompt_tokens
        self._model = model

    def stream(self, messages: Sequence[provider.Message], **options: Any) -> provider.Chunks:
        """`options`: as those of `stream_with_tools`, which subclasses implement."""
        return self.stream_with_tools(messages, (), **options)


def compacted_answer(
    ask: Callable[[Sequence[provider.Message]], provider.Chunks],
    messages: Sequence[provider.Message],
) -> provider.Chunks:
    """Return an answer. If the endpoint refuses the conversation as too long, ask once more with a shorter one."""

    async def can_be_shorter(number: int, error: provider.LlmError) -> bool:
        return number == 0 and error.code == "context_too_long" and compact(messages) != [*messages]

    return first_answer((lambda: ask(messages), lambda: ask(compact(messages))), can_be_shorter)


def compact(messages: Sequence[provider.Message]) -> list[provider.Message]:
    """Leave out the oldest turns until half remains, then the ends of tool results.

    System messages and the last question remain. An answer and its question, or a call and its result, stay together.
    """
    budget = provider.estimate_prompt_tokens(messages, ()) // 2
    system = [*takewhile(lambda turn: turn.role == "system", messages)]
    turns = [*messages[len(system) :]]
    questions = [index for index, turn in enumerate(turns) if turn.role == "user" and turn.content != provider.CONTINUE]
    for start in questions[1:]:
        if provider.estimate_prompt_tokens([*system, *turns], ()) <= budget:
            break
        turns = [*messages[len(system) + start :]]
    results = [turn for turn in turns if turn.role == "tool"]
    if results and provider.estimate_prompt_tokens([*system, *turns], ()) > budget:
        length = max(MIN_RESULT_LENGTH, sum(len(turn.content) for turn in results) // len(results) // 2)
        for index, turn in enumerate(turns):
            if turn.role == "tool" and len(turn.content) > length:
                turns[index] = replace(turn, content=turn.content[:length] + SHORTENED)
    return [*system, *turns]
