"""Requests to models: the messages of a prompt, how a provider gets them, and repeated attempts."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from opportune.config.languages import PSEUDO_LANGUAGE, SOURCE_LANGUAGE
from opportune.contrib.llm.providers.provider import Chunks, LlmError, Message, Provider, ToolSchema, without_pictures
from opportune.i18n import get_language

Prompt = str | Sequence[Message]
"""A question, or a conversation that ends with one."""
Tools = Sequence[ToolSchema]
VISITOR_LANGUAGE = (
    "The language of the user is {}. Answer in it, unless the question is in another language or asks for one."
)


def messages_of(prompt: Prompt, system: str = "") -> list[Message]:
    """Return the messages of a prompt."""
    messages = [Message("user", prompt)] if isinstance(prompt, str) else [*prompt]
    return [Message("system", system), *messages] if system else messages


def in_visitor_language(messages: Sequence[Message]) -> list[Message]:
    """Add the language of the request to the system message, if it is not English."""
    language = get_language()
    if not messages or language.code in (SOURCE_LANGUAGE, PSEUDO_LANGUAGE):
        return [*messages]
    rule = VISITOR_LANGUAGE.format(language.locale.english_name)
    first, *rest = messages
    if first.role == "system":
        return [replace(first, content=f"{first.content}\n\n{rule}"), *rest]
    return [Message("system", rule), *messages]


@dataclass(frozen=True)
class ModelRequest:
    """A question to a model, which can be sent to several providers."""

    messages: Sequence[Message]
    tools: Tools
    temperature: float | None
    schema: Mapping[str, Any] | None = None
    """JSON Schema of the answer, for models that can be bound to one."""

    def send(self, provider: Provider, *, sees_images: bool) -> Chunks:
        turns = self.messages if sees_images else [*map(without_pictures, self.messages)]
        # A project's provider may lack the parameter, so pass it only if it is set.
        options: dict[str, Any] = {} if self.temperature is None else {"temperature": self.temperature}
        if self.schema and provider.follows_schema:
            options["schema"] = self.schema
        if self.tools:
            return provider.stream_with_tools(turns, self.tools, **options)
        return provider.stream(turns, **options)


async def first_answer(
    attempts: Iterable[Callable[[], Chunks]],
    tries_next: Callable[[int, LlmError], Awaitable[bool]],
) -> Chunks:
    """Yield the answer of the first attempt that starts one.

    Args:
        attempts: Functions that start an attempt.
        tries_next: Called with the number and the error of an attempt that failed before its first chunk. Returns True
            when the next attempt may start.

    Raises:
        LlmError: The error of the last attempt, or of one that had started its answer.
    """
    failure: LlmError | None = None
    for number, attempt in enumerate(attempts):
        has_started = False
        try:
            async with aclosing(attempt()) as chunks:
                async for chunk in chunks:
                    has_started = True
                    yield chunk
            return
        except LlmError as error:
            if has_started or not await tries_next(number, error):
                raise
            failure = error
    if failure:
        raise failure


async def text_of(chunks: Chunks) -> AsyncGenerator[str, None]:
    async with aclosing(chunks):
        async for chunk in chunks:
            if isinstance(chunk, str):
                yield chunk
