"""Language models of the site, with a queue, retries and fallbacks."""

import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from copy import copy
from dataclasses import replace
from functools import cached_property, partial
from time import monotonic
from typing import Any, Self, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from opportune.config.llm_models import LlmModel
from opportune.config.settings import Settings
from opportune.contrib.llm.abilities import describe_abilities
from opportune.contrib.llm.call_guard import CallGuard, Payer, SpendingRefused
from opportune.contrib.llm.completion.calls import metered
from opportune.contrib.llm.completion.request import ModelRequest, Prompt, Tools, in_visitor_language, messages_of
from opportune.contrib.llm.completion.streams import first_answer, text_of
from opportune.contrib.llm.completion.structured import parsed_values
from opportune.contrib.llm.completion.usage import CallMeter, TokenUsage
from opportune.contrib.llm.media.calls import Media, MediaCalls
from opportune.contrib.llm.providers.factory import make_declared, make_provider, models_of
from opportune.contrib.llm.providers.provider import Chunks, LlmError, Message, Provider
from opportune.errors import OperatorError
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l

T = TypeVar("T")

NO_MODEL = _l("No language model is set up yet.")
SET_UP_ADVICE = "Set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL, or select a model in the admin."
NOT_CONFIGURED = f"{NO_MODEL} {SET_UP_ADVICE}"
"""Message for the command line."""

SELECTION_CHECK_SECONDS = 5.0
"""Seconds between queries for the model selected in the admin."""
MODEL_TOPIC = "llm.model"
"""Topic of messages that another model was selected in the admin."""

logger = logging.getLogger(__name__)


class LanguageModel(MediaCalls):
    """A language model of the site, shared by all requests and jobs of a process.

    A limited number of answers run in parallel; further calls wait in a queue. A call that fails before its first chunk
    is retried, then sent to the model's fallback. `using` returns another model by name.

    Example:
        @router.get("/summary")
        async def summarize(llm: Llm) -> str:
            return await llm.complete("Summarize ...", temperature=0)

    Attributes:
        model: Settings of the model; None for the local one.
        models: All models of the site.
        media: Models for pictures, speech, transcription and reranking.
        answers_in_visitor_language: Ask for answers in the language of the request.
        follows_choice: True if the settings name no model, so that the one selected in the admin is used.
    """

    def __init__(
        self,
        make_provider: Callable[[], Provider | None],
        *,
        max_parallel: int = 100,
        queue_timeout: float = 60,
        retries: int = 0,
    ) -> None:
        super().__init__(max_parallel=max_parallel, queue_timeout=queue_timeout, retries=retries)
        self._make_provider = make_provider
        self._models_by_name: dict[str, LanguageModel] = {}
        self.model: LlmModel | None = None
        self.models: Sequence[LlmModel] = ()
        self.media = Media()
        self.follows_choice = False
        self.answers_in_visitor_language = True
        self._settings: Settings | None = None
        self._checked_at = -SELECTION_CHECK_SECONDS
        self._replaced_providers: list[Provider] = []
        self._uncharged: LanguageModel | None = None  # of which this is a copy, made by `charged_to`

    @classmethod
    def of(cls, settings: Settings, guard: CallGuard | None = None) -> Self:
        """Create the default model of the settings, connected with all others."""
        models = models_of(settings)
        site = cls(
            lambda: make_provider(settings),
            max_parallel=settings.llm_max_parallel,
            queue_timeout=settings.llm_first_byte_timeout,
            retries=settings.llm_retries,
        )
        site.guard = guard
        site._settings = settings
        site.answers_in_visitor_language = settings.llm_answers_in_visitor_language
        site.follows_choice = not models and guard is not None and settings.environment != "test"
        site.media.provider = make_declared("media", settings)
        site.models = models
        for model in models:
            language_model = site if model is models[0] else copy(site)  # shares the queue and the names
            language_model.model = model
            language_model._make_provider = partial(make_provider, settings, model)
            site._models_by_name[model.name] = language_model
        return site

    def using(self, name: str) -> "LanguageModel":
        """Return a model of LLM_MODELS by its name; an empty name means this one.

        Raises:
            LlmError: No model has this name.
        """
        if not name or (self.model and name == self.model.name):
            return self
        if model := self._models_by_name.get(name):
            return model.charged_to(self._payer, self._usage) if self._uncharged else model
        message = gettext("There is no model %(name)s.", name=name)
        if self._models_by_name:
            message += " " + gettext("Available: %(names)s.", names=", ".join(self._models_by_name))
        raise LlmError("not_configured", message)

    def for_user(self, user_id: int) -> "LanguageModel":
        """Charge calls to a user, for jobs and commands that ask on the user's behalf."""
        return self.charged_to(Payer.of_user(user_id))

    def charged_to(self, payer: Payer, usage: TokenUsage | None = None) -> "LanguageModel":
        """Charge calls to a payer.

        Args:
            payer: User, visitor or site.
            usage: Object to which the usage of each call is added.
        """
        charged = copy(self)
        charged._uncharged = self._uncharged or self
        charged._payer = payer
        charged._usage = usage
        return charged

    @cached_property
    def provider(self) -> Provider | None:
        """Provider, created on first use; None without a configured model. Tests assign a `FakeProvider`."""
        return self._uncharged.provider if self._uncharged else self._make_provider()

    async def refresh(self, *, force: bool = False) -> None:
        """Load the model selected in the admin, if the settings name none. Queries at most every 5 seconds."""
        site = self._uncharged or self
        if not (site.follows_choice and site.guard):
            return
        if not force and monotonic() - site._checked_at < SELECTION_CHECK_SECONDS:
            return
        site._checked_at = monotonic()
        try:
            selected = await site.guard.chosen_model()
        except (SQLAlchemyError, TimeoutError, OperatorError):  # outage, or not migrated: keep the current model
            return
        if selected != site.model:
            site._select(selected)

    def expire_choice(self) -> None:
        """Let the next `refresh` read the selected model, which another process has changed."""
        self._checked_at = -SELECTION_CHECK_SECONDS

    async def waits_for_choice(self) -> bool:
        """Return True if a superuser still has to select a model in the admin."""
        await self.refresh()
        return self.follows_choice and self.provider is None

    def _select(self, model: LlmModel | None) -> None:
        if old := vars(self).pop("provider", None):
            self._replaced_providers.append(old)  # it still writes running answers
        self.model = model
        self.models = [model] if model else []
        self._models_by_name = {model.name: self} if model else {}
        if model and self._settings:
            self.provider = make_provider(self._settings, model)

    @property
    def name(self) -> str:
        """Name shown to users; empty without a configured model."""
        named = self.model or self.provider
        return named.name if named else ""

    @property
    def choices(self) -> dict[str, str]:
        """Labels of all models by name, for select fields."""
        return {model.name: f"{model.name} ({describe_abilities(model)})" for model in self.models}

    @property
    def fault(self) -> str:
        """Known reason why the model cannot answer, for operators; else empty."""
        return self.provider.fault if self.provider else ""

    @property
    def is_toy(self) -> bool:
        """True for the bundled small model, which only demonstrates the site."""
        return bool(self.provider and self.provider.is_toy)

    @property
    def context_budget(self) -> int:
        """Maximum length of a conversation in tokens, as estimated by `estimate_tokens`."""
        return self.provider.context_budget if self.provider else 0

    @property
    def origin(self) -> str:
        """Identity of endpoint and model, for `answer_turns`."""
        return self.provider.origin if self.provider else ""

    @property
    def sees_images(self) -> bool:
        """True if the model accepts pictures. Other models get a placeholder text."""
        return self.model.sees_images if self.model else bool(self.provider and self.provider.sees_images)

    @property
    def calls_tools(self) -> bool:
        """True if the model can call tools."""
        if self.model:
            return self.model.calls_tools
        return bool(self.provider and type(self.provider).stream_with_tools is not Provider.stream_with_tools)

    async def complete(self, prompt: Prompt, *, system: str = "", temperature: float | None = None) -> str:
        """Return the complete answer.

        Args:
            prompt: A question, or a conversation that ends with one.
            system: System message before the conversation.
            temperature: 0 for the most likely answer, up to 2. None for the model's default.

        Raises:
            LlmError: There is no complete answer. In a route, the response is 503 with its message.
        """
        messages = messages_of(prompt, system)
        async with aclosing(text_of(self.chunks(messages, temperature=temperature))) as texts:
            return "".join([text async for text in texts])

    async def parse(
        self, prompt: Prompt, into: type[T], *, system: str = "", temperature: float | None = None, attempts: int = 3
    ) -> T:
        """Return the answer as an instance of a Pydantic model or another type. Invalid answers are sent back.

        Args:
            prompt: A question, or a conversation that ends with one.
            into: Type of the result, such as `Invoice` or `list[Invoice]`.
            system: System message before the conversation.
            temperature: As `complete`.
            attempts: Maximum number of calls.

        Raises:
            LlmError: As `complete`; with the code "malformed" if all answers were invalid.
        """
        request = ModelRequest(messages_of(prompt, system), (), temperature)
        async with aclosing(self._parsed(request, into, attempts)) as values:
            return await anext(values)

    def stream_parse(
        self, prompt: Prompt, into: type[T], *, system: str = "", temperature: float | None = None, attempts: int = 3
    ) -> AsyncGenerator[T, None]:
        """Return an iterator over incomplete objects while the answer arrives, and finally the valid one.

        Fields of a Pydantic model that are missing or not yet valid have their default, or None. `stream_form` shows
        the objects in a form. The arguments are those of `parse`. Use it with `contextlib.aclosing`.

        Raises:
            LlmError: As `parse`, during iteration.
        """
        request = ModelRequest(messages_of(prompt, system), (), temperature)
        return self._parsed(request, into, attempts, with_partials=True)

    def _parsed(
        self, request: ModelRequest, into: type[T], attempts: int, *, with_partials: bool = False
    ) -> AsyncGenerator[T, None]:
        if not self.sees_images and any(message.pictures for message in request.messages):
            message = gettext("%(model)s cannot see pictures. Choose a model that can.", model=self.name)
            raise LlmError("rejected", message)

        def ask(messages: Sequence[Message], schema: Mapping[str, Any]) -> Chunks:
            return self._chunks(replace(request, messages=messages, schema=schema))

        return parsed_values(ask, request.messages, into, attempts, with_partials=with_partials)

    def stream(
        self, prompt: Prompt, *, system: str = "", temperature: float | None = None
    ) -> AsyncGenerator[str, None]:
        """Return an iterator over the text of the answer, with the arguments of `complete`.

        The model is asked to answer in the language of the visitor, unless LLM_ANSWERS_IN_VISITOR_LANGUAGE is false.

        Use it with `contextlib.aclosing`: closing the iterator stops the model.

        Raises:
            LlmError: No model is configured (immediately), or the answer fails (during iteration).
        """
        return text_of(self.chunks(self.visitor_messages(prompt, system), temperature=temperature))

    def visitor_messages(self, prompt: Prompt, system: str = "") -> list[Message]:
        """Return the messages for an answer in the language of the visitor, if the setting allows it."""
        messages = messages_of(prompt, system)
        return in_visitor_language(messages) if self.answers_in_visitor_language else messages

    def chunks(self, messages: Sequence[Message], tools: Tools = (), *, temperature: float | None = None) -> Chunks:
        """Return an iterator over text and `Reasoning`, then one `Done` with token counts.

        With tools, the `Done` may have `tool_calls`. `opportune.contrib.tools.converse` calls them and continues.

        Raises:
            LlmError: As `stream`.
        """
        return self._chunks(ModelRequest(messages, tools, temperature))

    def _chunks(self, request: ModelRequest) -> Chunks:
        """Return the answer of the first model that starts one: this one, or a fallback."""
        self._require_provider()
        candidates = self._candidates()

        async def tries_fallback(number: int, error: LlmError) -> bool:
            if number + 1 == len(candidates) or isinstance(error, SpendingRefused):
                return False
            failed, fallback = candidates[number : number + 2]
            logger.warning("%s failed (%s), trying %s", failed.name, error.code, fallback.name)
            return True

        return first_answer([partial(candidate._guarded, request) for candidate in candidates], tries_fallback)

    def _candidates(self) -> "list[LanguageModel]":
        """Return this model and its chain of fallbacks."""
        candidates = {self.name: self}
        model = self.model
        while model and model.fallback and model.fallback not in candidates:
            candidates[model.fallback] = fallback = self.using(model.fallback)
            model = fallback.model
        return [*candidates.values()]

    def _guarded(self, request: ModelRequest) -> Chunks:
        meter = CallMeter(self.name, self.model, request.messages, request.tools)
        provider = self._require_provider()

        def answer() -> Chunks:
            return metered(meter, request.send(provider, sees_images=self.sees_images), request.tools)

        return self._run_call(meter, answer)

    def _require_provider(self) -> Provider:
        if self.provider is None:
            raise LlmError("not_configured", NO_MODEL, advice=SET_UP_ADVICE)
        return self.provider

    async def setup(self) -> None:
        """Prepare for the first question. Errors are ignored here and reported with the question."""
        await self.refresh()
        with suppress(LlmError):
            if self.provider:
                await self.provider.setup()

    async def close(self) -> None:
        models = {self, *self._models_by_name.values()}
        providers = [vars(model).get("provider") for model in models]  # None if it was not used
        for provider in filter(None, [*providers, *self._replaced_providers, self.media.provider]):
            await provider.close()
        if self.guard:
            await self.guard.close()
