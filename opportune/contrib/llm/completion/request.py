"""Requests to the provider of a model."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from opportune.contrib.llm.providers.provider import Chunk, Message, Provider, ToolSchema, without_pictures

Tools = Sequence[ToolSchema]


@dataclass(frozen=True)
class ModelRequest:
    messages: Sequence[Message]
    tools: Tools
    temperature: float | None

    def send(self, provider: Provider, *, sees_images: bool) -> AsyncGenerator[Chunk, None]:
        turns = self.messages if sees_images else [*map(without_pictures, self.messages)]
        # A project's provider may lack the parameter, so pass it only if it is set.
        options = {} if self.temperature is None else {"temperature": self.temperature}
        if self.tools:
            return provider.stream_with_tools(turns, self.tools, **options)
        return provider.stream(turns, **options)
