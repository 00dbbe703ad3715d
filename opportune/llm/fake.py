"""A provider for tests, whose answers are written by the test."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from opportune.llm.provider import Chunk, Done, LLMError, Message, Provider

Step = Chunk | asyncio.Event | LLMError


class FakeProvider(Provider):
    """Plays one script for every question: yields text, waits for events, raises errors.

    A script that tells no `Done` ends with an empty one.
    """

    name = "Scripted"
    context_budget = 1_000

    def __init__(self, *script: Step) -> None:
        self.script: Sequence[Step] = script
        self.received: list[list[Message]] = []
        self.stopped = asyncio.Event()
        """Somebody closed an answer before its end."""

    async def stream(self, messages: Sequence[Message]) -> AsyncGenerator[Chunk, None]:
        self.received.append(list(messages))
        try:
            for step in [*self.script, Done()]:
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
