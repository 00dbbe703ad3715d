"""Assistants, prompts, and the options of an answer that one of them gives."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.contrib.answers import AnswerManager, AnswerOptions
from opportune.contrib.assistants.models import Assistant, Audience, Prompt
from opportune.contrib.assistants.sharing import SharedRows
from opportune.contrib.llm import LanguageModel, LlmError
from opportune.i18n import gettext


class Prompts(SharedRows[Prompt]):
    """The prompt library."""


class Assistants(SharedRows[Assistant]):
    read_fields = ("id", "name", "description", "icon", "model", "shared_with", "starters", "created_at")


async def find_assistant(session: AsyncSession, user: User | None, key: int | str) -> Assistant | None:
    """Return an assistant that the user may use, by its id, or one of the site by its name."""
    assistants = await Assistants.for_user(session, user)
    query = select(Assistant).where(assistants.readable())
    if isinstance(key, str):
        query = query.where(col(Assistant.name) == key, col(Assistant.shared_with) == Audience.SITE)
    else:
        query = query.where(col(Assistant.id) == key)
    return (await session.scalars(query.order_by(col(Assistant.id)).limit(1))).one_or_none()


async def assistant_options(answers: AnswerManager, user: User | None, key: int | str) -> AnswerOptions:
    """Return the options of an answer by an assistant. If it is missing, the default model answers with a notice.

    Example:
        options = await assistant_options(answers, user, "Librarian")
        answer = await ask_by_form(answers, form, owner_id=user.id, topic="desk", **options)

    Args:
        answers: The manager of the answers.
        user: The user, or None for a visitor.
        key: Id of the assistant, or the name of one that everyone on the site may use.
    """
    async with answers.database.reader() as session:
        assistant = await find_assistant(session, user, key)
    return options_of(assistant, answers.llm, str(key))


def options_of(assistant: Assistant | None, llm: LanguageModel, name: str = "") -> AnswerOptions:
    """Return the options of an answer, with a notice if the assistant or its model does not exist any more."""
    if assistant is None:
        omitted = gettext("The assistant %(name)s is no longer available. The default answers instead.", name=name)
        return AnswerOptions(system="", model="", temperature=None, tools=(), omitted=omitted)
    model, notice = assistant.model, ""
    try:
        llm.using(model)
    except LlmError:
        model = ""
        notice = gettext(
            "The model %(model)s of the assistant %(name)s is no longer available. %(other)s answers instead.",
            model=assistant.model,
            name=assistant.name,
            other=llm.name,
        )
    return AnswerOptions(
        system=assistant.instructions,
        model=model,
        temperature=assistant.temperature,
        tools=[*assistant.tools, *(assistant.knowledge or ())],
        omitted=notice,
    )
