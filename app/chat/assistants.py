"""The assistant of a conversation, and the options of its answers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from app.chat.models import Conversation
from app.chat.prompt import SYSTEM_PROMPT
from opportune.accounts import User
from opportune.contrib.answers import ALL_TOOLS
from opportune.contrib.assistants import AnswerOptions, Assistant, Assistants, add_memory, find_assistant, options_of
from opportune.contrib.llm import LanguageModel
from opportune.errors import FieldErrors
from opportune.i18n import gettext

MAX_ASSISTANTS = 100
"""Assistants that the chat offers."""


class AnswerSetup(NamedTuple):
    """The options of a conversation's next answer, from its settings and its assistant."""

    options: AnswerOptions
    assistant: Assistant | None


async def read_setup(session: AsyncSession, llm: LanguageModel, conversation: Conversation) -> AnswerSetup:
    """Read the assistant of a conversation. The settings of the conversation have precedence over the assistant's."""
    assistant = None
    options = AnswerOptions(system="", model="", temperature=None, tools=(), omitted="")
    if conversation.assistant_id:
        assistant = await _find(session, conversation.owner_id, conversation.assistant_id)
        options = options_of(assistant, llm, conversation.assistant_name)
    if assistant is None:
        options["tools"] = [ALL_TOOLS]
    elif conversation.model:
        options["omitted"] = ""  # the notice is about the assistant's model, which is not used
    if conversation.temperature is not None:
        options["temperature"] = conversation.temperature
    options["system"] = f"{options['system']}\n\n{conversation.system_prompt}".strip() or SYSTEM_PROMPT
    if not conversation.is_temporary:
        options = await add_memory(session, conversation.owner_id, options)
    return AnswerSetup(options, assistant)


async def with_assistant_name(session: AsyncSession, owner_id: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings with the name of the selected assistant. Raises FieldErrors if the user may not use it."""
    if "assistant_id" not in settings:
        return settings
    name = ""
    if id_ := settings["assistant_id"]:
        assistant = await _find(session, owner_id, id_)
        if assistant is None:
            raise FieldErrors({"assistant_id": gettext("This assistant is not available. Choose another one.")})
        name = assistant.name
    return {**settings, "assistant_name": name}


async def list_assistants(session: AsyncSession, user_id: int) -> Sequence[Assistant]:
    """Return the assistants that a user can choose, by name."""
    assistants = await Assistants.for_user(session, await session.get(User, user_id))
    return (await assistants.list(Assistants.Filter(size=MAX_ASSISTANTS))).items


def assistant_choices(assistants: Sequence[Assistant], conversation: Conversation) -> dict[int | str, str]:
    """Return the labels of a select field, with the assistant of the conversation if it no longer exists."""
    choices: dict[int | str, str] = {"": gettext("No assistant")}
    if conversation.assistant_id and conversation.assistant_name:
        choices[conversation.assistant_id] = gettext("%(name)s (not available)", name=conversation.assistant_name)
    return choices | {assistant.id: assistant.name for assistant in assistants}


async def _find(session: AsyncSession, owner_id: int, assistant_id: int) -> Assistant | None:
    return await find_assistant(session, await session.get(User, owner_id), assistant_id)
