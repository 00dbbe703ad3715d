"""A provider for tests, whose answers are written by the test."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from opportune.llm.providers.provider import Chunk, Done, LLMError, Message, Provider, ToolSchema

Step = Chunk | asyncio.Event | LLMError


class FakeProvider(Provider):
    """Plays one script for every question: yields text, waits for events, raises errors.

    A script that tells no `Done` ends with an empty one.
    """

    name = "Scripted"
    context_budget = 1_000

    def __init__(self, *script: Step) -> None:
        self.script: Sequence[Step] = script
        self.next_scripts: list[Sequence[Step]] = []
        self.received: list[list[Message]] = []
        self.temperatures: list[float | None] = []
        """What each question asked for."""
        self.offered: list[list[str]] = []
        """The names of the tools that went with each question that had some."""
        self.stopped = asyncio.Event()
        """Somebody closed an answer before its end."""

    @classmethod
    def in_turn(cls, *scripts: Sequence[Step]) -> "FakeProvider":
        """One that plays another script for each question, and the last of them from then on."""
        provider = cls(*scripts[0])
        provider.next_scripts = [*scripts[1:]]
        return provider

    def stream_with_tools(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], *, temperature: float | None = None
    ) -> AsyncGenerator[Chunk, None]:
        self.offered.append([tool.name for tool in tools])
        return self.stream(messages, temperature=temperature)

    async def stream(
        self, messages: Sequence[Message], *, temperature: float | None = None
    ) -> AsyncGenerator[Chunk, None]:
        script, self.script = self.script, self.next_scripts.pop(0) if self.next_scripts else self.script
        self.received.append(list(messages))
        self.temperatures.append(temperature)
        try:
            for step in [*script, Done()]:
                if isinstance(step, LLMError):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                    continue
                yield step
                if isinstance(step, Done):
                    return
        except (GeneratorExit, asyncio.CancelledError):
            self.stopped.set()
            raise
