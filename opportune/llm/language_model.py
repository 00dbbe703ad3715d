"""The models of the site, as features ask them: shared by all, a bounded number of answers at a time."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from time import monotonic
from typing import Annotated, Self, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from opportune.config.llm_models import LlmModel
from opportune.config.project import installed_features
from opportune.config.settings import Settings
from opportune.db.factory import open_database
from opportune.errors import OperatorError
from opportune.llm.completion.checked import checked_answer
from opportune.llm.completion.observed import observed_answer
from opportune.llm.completion.structured import parse
from opportune.llm.embeddings.embeddings import Embeddings
from opportune.llm.providers.factory import make_provider, models_of
from opportune.llm.providers.provider import (
    Chunk,
    Done,
    ErrorCode,
    LLMError,
    Message,
    Provider,
    ToolSchema,
    without_pictures,
)
from opportune.llm.spending.call_guard import SITE, CallGuard, GuardedCall, Payer, SpendingRefused, TokenUsage, guard_of
from opportune.runtime.observers import observers

M = TypeVar("M", bound=BaseModel)

Prompt = str | Sequence[Message]
"""What is asked: a question, or a conversation whose last message is the question."""
Tools = Sequence[ToolSchema]

NO_MODEL = "No language model is set up yet."
SET_UP_ADVICE = "Set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL, or choose a model in the admin."
NOT_CONFIGURED = f"{NO_MODEL} {SET_UP_ADVICE}"
"""The same for the command line."""
QUEUE_FULL = "The model is busy with other answers. Try again in a moment."

MAX_RETRY_WAIT_SECONDS = 10.0
"""Whoever asks looks at nothing meanwhile: what wants a longer wait is told instead."""
CHOICE_INTERVAL_SECONDS = 5.0
"""Seconds after which a process that is asked looks whether another model has been chosen."""
RETRIED: frozenset[ErrorCode] = frozenset({"refused", "unavailable", "rate_limited"})

logger = logging.getLogger(__name__)


class LanguageModel:
    """A model of the site, shared by all that ask it in this process; `using` gives another by its name.

    So many answers are written at once; who asks then waits for one of them to end, for a time. The provider is made
    when it is first needed. One that does not begin to answer is asked again, then its fallback is.
    """

    def __init__(
        self,
        make_provider: Callable[[], Provider | None],
        *,
        max_parallel: int = 100,
        queue_timeout: float = 60,
        retries: int = 0,
    ) -> None:
        self._make_provider = make_provider
        self._running = asyncio.Semaphore(max_parallel)
        self._queue_timeout = queue_timeout
        self._retries = retries
        self._by_name: dict[str, LanguageModel] = {}
        self.model: LlmModel | None = None
        """What the settings tell of it; None of the local one."""
        self.models: Sequence[LlmModel] = ()
        """All that there are to choose from, this one among them."""
        self.guard: CallGuard | None = None
        """Counts what is asked, and refuses what is too much."""
        self.embeddings: Embeddings | None = None
        """The site's model for embeddings, where EMBEDDING_MODEL names one."""
        self.follows_choice = False
        """Whether the settings name no model, and what somebody has chosen for the site is asked."""
        self._settings: Settings | None = None
        self._looked_at = -CHOICE_INTERVAL_SECONDS
        self._replaced: list[Provider] = []
        self._origin: LanguageModel | None = None
        self._payer = SITE
        self._usage: TokenUsage | None = None

    @classmethod
    def of(cls, settings: Settings, guard: CallGuard | None = None) -> Self:
        models = models_of(settings)
        site = cls(
            lambda: make_provider(settings),
            max_parallel=settings.llm_max_parallel,
            queue_timeout=settings.llm_first_byte_timeout,
            retries=settings.llm_retries,
        )
        site.guard, site._settings = guard, settings
        site.follows_choice = not models and guard is not None and settings.environment != "test"
        site.embeddings = Embeddings.of(settings, guard)
        by_name = {model.name: site if model is models[0] else site._sibling(settings, model) for model in models}
        for model in models:
            each = by_name[model.name]
            each.model, each.models, each._by_name = model, models, by_name
        return site

    def _sibling(self, settings: Settings, model: LlmModel) -> "LanguageModel":
        sibling = LanguageModel(
            lambda: make_provider(settings, model), queue_timeout=self._queue_timeout, retries=self._retries
        )
        sibling._running, sibling.guard = self._running, self.guard
        return sibling

    def using(self, name: str) -> "LanguageModel":
        """The model of LLM_MODELS with this name; with an empty one this.

        Raises:
            LLMError: there is none of that name.
        """
        if not name or (self.model and name == self.model.name):
            return self
        if found := self._by_name.get(name):
            return found.charged_to(self._payer, self._usage) if self._origin else found
        known = ", ".join(self._by_name)
        raise LLMError("not_configured", f"There is no model {name}." + (f" There are {known}." if known else ""))

    def for_user(self, user_id: int) -> "LanguageModel":
        """The same, where a job or a command asks for a person: it counts for the limits of that one."""
        return self.charged_to(Payer.of_user(user_id))

    def charged_to(self, payer: Payer, usage: TokenUsage | None = None) -> "LanguageModel":
        """The same at somebody's expense; what each call has come to is added to `usage`."""
        charged = copy(self)
        charged._origin, charged._payer, charged._usage = self._origin or self, payer, usage
        return charged

    @cached_property
    def provider(self) -> Provider | None:
        """Who answers; None where nobody is set up. A test puts a `FakeProvider` here."""
        return self._origin.provider if self._origin else self._make_provider()

    async def refresh(self, *, at_once: bool = False) -> None:
        """Take up what a superuser has chosen in another process since, where the settings name no model."""
        site = self._origin or self
        if not (site.follows_choice and site.guard):
            return
        if not at_once and monotonic() - site._looked_at < CHOICE_INTERVAL_SECONDS:
            return
        site._looked_at = monotonic()
        try:
            chosen = await site.guard.chosen_model()
        except (SQLAlchemyError, TimeoutError, OperatorError):  # it is away, or not migrated: as it was
            return
        if chosen != site.model:
            site._take(chosen)

    async def waits_for_choice(self) -> bool:
        """Whether nobody answers until a superuser chooses who does."""
        await self.refresh()
        return self.follows_choice and self.provider is None

    def _take(self, chosen: LlmModel | None) -> None:
        if old := vars(self).pop("provider", None):
            self._replaced.append(old)  # answers that it writes go on
        self.model, self.models = chosen, [chosen] if chosen else []
        self._by_name = {chosen.name: self} if chosen else {}
        if chosen and self._settings:
            self.provider = make_provider(self._settings, chosen)

    @property
    def name(self) -> str:
        """The name that people are shown; empty where nobody is set up."""
        return self.model.name if self.model else self.provider.name if self.provider else ""

    @property
    def choices(self) -> dict[str, str]:
        """What to call each of the models where people choose one, by its name."""
        return {each.name: f"{each.name} ({each.abilities})" for each in self.models}

    @property
    def fault(self) -> str:
        """The reason why there will be no answer, as far as it is known, for whoever runs the site."""
        return self.provider.fault if self.provider else ""

    @property
    def is_toy(self) -> bool:
        """Whether the bundled small model answers, which shows the mechanics without a key."""
        return bool(self.provider and self.provider.is_toy)

    @property
    def context_budget(self) -> int:
        """Tokens of conversation, by `estimate_tokens`, that are worth sending."""
        return self.provider.context_budget if self.provider else 0

    @property
    def sees_images(self) -> bool:
        """Whether it looks at pictures; without, words stand in their place."""
        return self.model.sees_images if self.model else bool(self.provider and self.provider.sees_images)

    @property
    def calls_tools(self) -> bool:
        """Whether it asks for calls of tools that it is offered."""
        if self.model:
            return self.model.calls_tools
        return bool(self.provider and type(self.provider).stream_with_tools is not Provider.stream_with_tools)

    async def complete(self, prompt: Prompt, *, system: str = "", temperature: float | None = None) -> str:
        """The whole answer; `system` is what the model is told beforehand, `temperature` 0 for the likeliest, up to 2.

        Raises:
            LLMError: no answer, or not to its end. The web answers 503 with its sentence.
        """
        async with aclosing(self.stream(prompt, system=system, temperature=temperature)) as pieces:
            return "".join([piece async for piece in pieces])

    async def parse(self, prompt: Prompt, into: type[M], *, system: str = "", attempts: int = 3) -> M:
        """The answer as data that a Pydantic model describes; what is something else is sent back with what is wrong.

        Raises:
            LLMError: as `complete`; or with the code "malformed", it was nonsense each time.
        """
        return await parse(self.complete, messages_of(prompt, system), into, attempts)

    def stream(
        self, prompt: Prompt, *, system: str = "", temperature: float | None = None
    ) -> AsyncGenerator[str, None]:
        """The answer's text as it comes. Hold it in `contextlib.aclosing`: closing it stops the model.

        Raises:
            LLMError: nobody is set up (at once), or what else keeps the answer from its end (while it is read).
        """
        return _text_of(self.chunks(messages_of(prompt, system), temperature=temperature))

    def chunks(
        self, messages: Sequence[Message], tools: Tools = (), *, temperature: float | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """The answer to a conversation as a `Provider` gives it: text, then one `Done` with the tokens.

        With tools it may end with `tool_calls`; `opportune.llm.tools` has them called and goes on.

        Raises:
            LLMError: as `stream`.
        """
        if self.provider is None:
            raise LLMError("not_configured", NO_MODEL, advice=SET_UP_ADVICE)
        return self._or_fallback(_Request(messages, tools, temperature))

    async def _or_fallback(self, request: "_Request") -> AsyncGenerator[Chunk, None]:
        """What the first of them says that begins to answer."""
        candidates = self._candidates()
        while True:
            candidate, has_begun = candidates.pop(0), False
            try:
                async with aclosing(candidate._guarded(request)) as chunks:
                    async for chunk in chunks:
                        has_begun = True
                        yield chunk
                return
            except LLMError as error:
                if has_begun or not candidates or isinstance(error, SpendingRefused):
                    raise
                logger.warning("%s does not answer (%s): %s is asked", candidate.name, error.code, candidates[0].name)

    def _candidates(self) -> "list[LanguageModel]":
        found = {self.name: self}
        last = self.model
        while last and last.fallback and last.fallback not in found:
            found[last.fallback] = next_one = self.using(last.fallback)
            last = next_one.model
        return [*found.values()]

    def _guarded(self, request: "_Request") -> AsyncGenerator[Chunk, None]:
        chunks = self._tried_again(request)
        if self.guard is None:
            return chunks
        return self.guard.watch(
            GuardedCall(self.name, self.model, request.messages, request.tools, self._payer, chunks, self._usage)
        )

    async def _tried_again(self, request: "_Request") -> AsyncGenerator[Chunk, None]:
        """The answer, asked for anew as long as there is hope and nothing of it has come."""
        for attempt in range(self._retries + 1):
            has_begun = False
            try:
                async with aclosing(self._in_turn(request)) as chunks:
                    async for chunk in chunks:
                        has_begun = True
                        yield chunk
                return
            except LLMError as error:
                wait_seconds = error.retry_after if error.retry_after is not None else 0.5 * 2**attempt
                is_hopeless = error.code not in RETRIED or wait_seconds > MAX_RETRY_WAIT_SECONDS
                if has_begun or is_hopeless or attempt == self._retries:
                    raise
            await asyncio.sleep(wait_seconds)

    async def _in_turn(self, request: "_Request") -> AsyncGenerator[Chunk, None]:
        provider = self.provider
        if provider is None:
            raise LLMError("not_configured", NO_MODEL, advice=SET_UP_ADVICE)
        try:
            async with asyncio.timeout(self._queue_timeout):
                await self._running.acquire()
        except TimeoutError:
            raise LLMError("busy", QUEUE_FULL) from None
        try:
            answer = checked_answer(
                *(self.name, self.model, request.messages, request.tools),
                request.of(provider, sees_images=self.sees_images),
            )
            if observers:
                answer = observed_answer(self.name, self.model, request.messages, answer)
            async with aclosing(answer) as chunks:
                async for chunk in chunks:
                    yield replace(chunk, model=chunk.model or self.name) if isinstance(chunk, Done) else chunk
        finally:
            self._running.release()

    async def setup(self) -> None:
        """Get ready ahead of the first question. A failure shows at the question, to whoever asks."""
        await self.refresh()
        with suppress(LLMError):
            if self.provider:
                await self.provider.setup()

    async def close(self) -> None:
        for each in {self, *self._by_name.values()}:
            if provider := vars(each).get("provider"):
                await provider.close()
        for provider in self._replaced:
            await provider.close()
        if self.embeddings:
            await self.embeddings.close()
        if self.guard:
            await self.guard.close()


@dataclass(frozen=True)
class _Request:
    """What is asked, of whichever model answers in the end."""

    messages: Sequence[Message]
    tools: Tools
    temperature: float | None

    def of(self, provider: Provider, *, sees_images: bool) -> AsyncGenerator[Chunk, None]:
        turns = self.messages if sees_images else [without_pictures(each) for each in self.messages]
        # A project's own provider need not know of a temperature before somebody sets one.
        options = {} if self.temperature is None else {"temperature": self.temperature}
        if self.tools:
            return provider.stream_with_tools(turns, self.tools, **options)
        return provider.stream(turns, **options)


def messages_of(prompt: Prompt, system: str = "") -> list[Message]:
    """A prompt as a model reads it."""
    asked = [Message("user", prompt)] if isinstance(prompt, str) else [*prompt]
    return [Message("system", system), *asked] if system else asked


async def _text_of(chunks: AsyncGenerator[Chunk, None]) -> AsyncGenerator[str, None]:
    async with aclosing(chunks):
        async for chunk in chunks:
            if isinstance(chunk, str):
                yield chunk


@asynccontextmanager
async def open_llm(settings: Settings) -> AsyncIterator[LanguageModel]:
    """The model for a command or a script, until the block ends. Routes have `Llm`, jobs `context.llm`."""
    database = open_database(settings)
    # A file that is not there yet counts nothing, and is not made for it.
    is_there = database.url.kind != "sqlite" or database.url.path.exists()
    features = installed_features() if is_there else ()
    llm = LanguageModel.of(settings, guard_of(features, settings, database))
    try:
        await llm.refresh()
        yield llm
    finally:
        await llm.close()
        await database.dispose()


async def get_llm(request: Request) -> LanguageModel:
    llm: LanguageModel = request.app.state.llm
    await llm.refresh()
    return llm.charged_to(llm.guard.payer_of(request)) if llm.guard else llm


Llm = Annotated[LanguageModel, Depends(get_llm)]
"""The model of the site, in a route: `llm: Llm`."""
