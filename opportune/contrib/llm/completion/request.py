"""Requests to the provider of a model, and the text of their answers."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from opportune.contrib.llm.providers.provider import Chunk, Message, Provider, ToolSchema, without_pictures

Tools = Sequence[ToolSchema]


@dataclass(frozen=True)
class ModelRequest:
    messages: Sequence[Message]
    tools: Tools
    temperature: float | None
    schema: Mapping[str, Any] | None = None
    """JSON Schema of the answer, for models that can be bound to one."""

    def send(self, provider: Provider, *, sees_images: bool) -> AsyncGenerator[Chunk, None]:
        turns = self.messages if sees_images else [*map(without_pictures, self.messages)]
        # A project's provider may lack the parameter, so pass it only if it is set.
        options: dict[str, Any] = {} if self.temperature is None else {"temperature": self.temperature}
        if self.schema and provider.follows_schema:
            options["schema"] = self.schema
        if self.tools:
            return provider.stream_with_tools(turns, self.tools, **options)
        return provider.stream(turns, **options)


async def text_of(chunks: AsyncGenerator[Chunk, None]) -> AsyncGenerator[str, None]:
    async with aclosing(chunks):
        async for chunk in chunks:
            if isinstance(chunk, str):
                yield chunk
