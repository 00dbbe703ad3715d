"""Requests to models: the messages of a prompt, and how a provider gets them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from opportune.config.languages import PSEUDO_LANGUAGE, SOURCE_LANGUAGE
from opportune.contrib.llm.providers.provider import Chunks, Message, Provider, ToolSchema, without_pictures
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
