"""Assistants: language models with a name, instructions and tools, which users, teams and the site own."""

from opportune.contrib.answers import AnswerOptions
from opportune.contrib.assistants.memory import Memories, add_memory
from opportune.contrib.assistants.models import Assistant, Audience, Memory, Prompt
from opportune.contrib.assistants.service import Assistants, Prompts, assistant_options, find_assistant, options_of
from opportune.contrib.assistants.variables import fill, variable_form

__all__ = [
    "AnswerOptions",
    "Assistant",
    "Assistants",
    "Audience",
    "Memories",
    "Memory",
    "Prompt",
    "Prompts",
    "add_memory",
    "assistant_options",
    "fill",
    "find_assistant",
    "options_of",
    "variable_form",
]
