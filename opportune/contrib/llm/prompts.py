"""Questions and conversations as messages to a model."""

from collections.abc import Sequence
from dataclasses import replace

from opportune.config.languages import PSEUDO_LANGUAGE, SOURCE_LANGUAGE
from opportune.contrib.llm.providers.provider import Message
from opportune.i18n import get_language

Prompt = str | Sequence[Message]
"""A question, or a conversation that ends with one."""
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
    if language.code in (SOURCE_LANGUAGE, PSEUDO_LANGUAGE):
        return [*messages]
    rule = VISITOR_LANGUAGE.format(language.locale.english_name)
    first, rest = messages[0], messages[1:]
    if first.role == "system":
        return [replace(first, content=f"{first.content}\n\n{rule}"), *rest]
    return [Message("system", rule), *messages]
