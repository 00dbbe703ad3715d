"""A provider for tests with scripted answers."""

import asyncio
from collections.abc import Sequence

from opportune.contrib.llm.providers.provider import Chunk, Chunks, Done, LlmError, Message, Provider, ToolSchema

Step = Chunk | asyncio.Event | LlmError


class FakeProvider(Provider):
    """Provider that plays a script for every question: it yields text, waits for events and raises errors.

    Example:
        fake_llm.script = ["Hello", " world"]

    Attributes:
        script: Steps of the next answer. Without a `Done`, an empty one is added.
        received: Messages of each question.
        temperatures: Temperature of each question.
        offered: Tool names of each question that offered tools.
        stopped: Set when an answer is closed before its end.
    """

    name = "Scripted"
    context_budget = 1_000

    def __init__(self, *script: Step) -> None:
        self.script: Sequence[Step] = script
        self.next_scripts: list[Sequence[Step]] = []
        self.received: list[list[Message]] = []
        self.temperatures: list[float | None] = []
        self.offered: list[list[str]] = []
        self.stopped = asyncio.Event()

    @classmethod
    def in_turn(cls, *scripts: Sequence[Step]) -> "FakeProvider":
        """Create a provider with one script per question. The last script repeats."""
        provider = cls(*scripts[0])
        provider.next_scripts = [*scripts[1:]]
        return provider

    def stream_with_tools(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], *, temperature: float | None = None
    ) -> Chunks:
        self.offered.append([tool.name for tool in tools])
        return self.stream(messages, temperature=temperature)

    async def stream(self, messages: Sequence[Message], *, temperature: float | None = None) -> Chunks:
        script = self.script
        if self.next_scripts:
            self.script = self.next_scripts.pop(0)
        self.received.append(list(messages))
        self.temperatures.append(temperature)
        try:
            for step in [*script, Done()]:
                if isinstance(step, LlmError):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    yield step
                if isinstance(step, Done):
                    return
        except (GeneratorExit, asyncio.CancelledError):
            self.stopped.set()
            raise
