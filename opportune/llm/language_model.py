"""The model of the site, as features ask it: one for all of them, a bounded number of answers at a time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from functools import cached_property, partial
from typing import Annotated, Self

from fastapi import Depends, Request

from opportune.llm.factory import make_provider
from opportune.llm.provider import Chunk, Done, LLMError, Message, Provider
from opportune.settings import Settings

Prompt = str | Sequence[Message]
"""What is asked: a question, or a conversation whose last message is the question."""

NOT_CONFIGURED = "No model is set up. Set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL."
QUEUE_FULL = "The model is busy with other answers. Try again in a moment."


class LanguageModel:
    """The model that the settings name, shared by all that ask it in this process.

    So many answers are written at once; who asks then waits for one of them to end, for a time. The provider is made
    when it is first needed.
    """

    def __init__(
        self, make_provider: Callable[[], Provider | None], *, max_parallel: int = 100, queue_timeout: float = 60
    ) -> None:
        self._make_provider = make_provider
        self._running = asyncio.Semaphore(max_parallel)
        self._queue_timeout = queue_timeout

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            partial(make_provider, settings),
            max_parallel=settings.llm_max_parallel,
            queue_timeout=settings.llm_first_byte_timeout,
        )

    @cached_property
    def provider(self) -> Provider | None:
        """Who answers; None where nobody is set up. A test puts a `FakeProvider` here."""
        return self._make_provider()

    @property
    def name(self) -> str:
        """The name that people are shown; empty where nobody is set up."""
        return self.provider.name if self.provider else ""

    @property
    def fault(self) -> str:
        """The reason why there will be no answer, as far as it is known, for whoever runs the site."""
        return self.provider.fault if self.provider else ""

    @property
    def context_budget(self) -> int:
        """Tokens of conversation, by `estimate_tokens`, that are worth sending."""
        return self.provider.context_budget if self.provider else 0

    async def complete(self, prompt: Prompt, *, system: str = "") -> str:
        """The whole answer; `system` is what the model is told beforehand.

        Raises:
            LLMError: no answer, or not to its end. The web answers 503 with its sentence.
        """
        async with aclosing(self.stream(prompt, system=system)) as pieces:
            return "".join([piece async for piece in pieces])

    def stream(self, prompt: Prompt, *, system: str = "") -> AsyncGenerator[str, None]:
        """The answer's text as it comes. Hold it in `contextlib.aclosing`: closing it stops the model.

        Raises:
            LLMError: nobody is set up (at once), or what else keeps the answer from its end (while it is read).
        """
        return _text_of(self.chunks(messages_of(prompt, system)))

    def chunks(self, messages: Sequence[Message]) -> AsyncGenerator[Chunk, None]:
        """The answer to a conversation as a `Provider` gives it: text, then one `Done` with the tokens.

        Raises:
            LLMError: as `stream`.
        """
        if self.provider is None:
            raise LLMError("not_configured", NOT_CONFIGURED)
        return self._in_turn(self.provider, messages)

    async def _in_turn(self, provider: Provider, messages: Sequence[Message]) -> AsyncGenerator[Chunk, None]:
        try:
            async with asyncio.timeout(self._queue_timeout):
                await self._running.acquire()
        except TimeoutError:
            raise LLMError("busy", QUEUE_FULL) from None
        try:
            async with aclosing(provider.stream(messages)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            self._running.release()

    async def setup(self) -> None:
        """Get ready ahead of the first question. A failure shows at the question, to whoever asks."""
        with suppress(LLMError):
            if self.provider:
                await self.provider.setup()

    async def close(self) -> None:
        if provider := vars(self).get("provider"):
            await provider.close()


def messages_of(prompt: Prompt, system: str = "") -> list[Message]:
    """A prompt as a model reads it."""
    asked = [Message("user", prompt)] if isinstance(prompt, str) else [*prompt]
    return [Message("system", system), *asked] if system else asked


async def _text_of(chunks: AsyncGenerator[Chunk, None]) -> AsyncGenerator[str, None]:
    async with aclosing(chunks):
        async for chunk in chunks:
            if not isinstance(chunk, Done):
                yield chunk


@asynccontextmanager
async def open_llm(settings: Settings) -> AsyncIterator[LanguageModel]:
    """The model for a command or a script, until the block ends. Routes have `Llm`, jobs `context.llm`."""
    llm = LanguageModel.of(settings)
    try:
        yield llm
    finally:
        await llm.close()


async def get_llm(request: Request) -> LanguageModel:
    llm: LanguageModel = request.app.state.llm
    return llm


Llm = Annotated[LanguageModel, Depends(get_llm)]
"""The model of the site, in a route: `llm: Llm`."""
