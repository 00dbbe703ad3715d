"""Clients of endpoints that are created with the first request, because importing their libraries takes long."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from opportune.config.llm_models import LlmModel
from opportune.contrib.llm.providers.provider import Chunk, Message, Provider, Timeouts

if TYPE_CHECKING:
    from opportune.contrib.llm.providers.http_client import EndpointClient


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


class RemoteProvider(Provider):
    """Provider whose model can be bound to a JSON Schema."""

    follows_schema = True

    def stream(self, messages: Sequence[Message], **options: Any) -> AsyncGenerator[Chunk, None]:
        """`options`: as those of `stream_with_tools`, which subclasses implement."""
        return self.stream_with_tools(messages, (), **options)
