"""Assistants: language models with a name, instructions and tools, which users, teams and the site own."""

from opportune.contrib.assistants.models import Assistant, Audience
from opportune.contrib.assistants.service import (
    AnswerOptions,
    Assistants,
    assistant_options,
    find_assistant,
    options_of,
)

__all__ = [
    "AnswerOptions",
    "Assistant",
    "Assistants",
    "Audience",
    "assistant_options",
    "find_assistant",
    "options_of",
]
