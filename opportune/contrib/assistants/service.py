"""Assistants and prompts of a user, a team or the site, and the options of an answer by an assistant."""

from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.contrib.answers import AnswerManager, AnswerOptions
from opportune.contrib.assistants.models import Assistant, Audience, Prompt
from opportune.contrib.assistants.teams import has_team, optional_team_owners
from opportune.contrib.llm import LanguageModel, LlmError
from opportune.crud import Crud, Permission
from opportune.crud.registry import TeamOwners
from opportune.db import utc_now
from opportune.errors import FieldErrors
from opportune.i18n import gettext

M = TypeVar("M", bound=Any)


class SharedRows(Crud[M]):
    """Rows that the user may use: their own, those of the current team, and those of the site.

    Members change all rows of their team. Rows of the site need the permission of a group.
    """

    owner_column = "owner_id"
    read_permission = Permission.SIGNED_IN
    write_permission = Permission.OWNER_OR_PERMITTED
    search = ("name", "description")
    sort = ("name", "created_at")
    order = ("name",)
    exclude = ("team_id", "shared_at")

    @classmethod
    def team_owners(cls) -> TeamOwners | None:
        return optional_team_owners()

    def readable(self) -> ColumnElement[bool]:
        return or_(self._is_owned(), col(self.model.shared_with) == Audience.SITE)

    def writable(self) -> ColumnElement[bool]:
        return self.writable_by("update")

    def writable_by(self, action: str) -> ColumnElement[bool]:
        return self.readable() if self.row_permissions.has_permission(action) else self._is_owned()

    def _is_owned(self) -> ColumnElement[bool]:
        """Return the condition for rows of the user or the current team."""
        is_owned: list[ColumnElement[bool]] = [false()]
        if self.user:
            is_owned.append(col(self.model.owner_id) == self.user.id)
        if self.team:
            is_owned.append(and_(col(self.model.team_id) == self.team.id, has_team(self.model)))
        return or_(*is_owned)

    @property
    def audiences(self) -> list[Audience]:
        """The users with whom the user may share a row."""
        audiences = [Audience.ME]
        if self.team:
            audiences.append(Audience.TEAM)
        if self.row_permissions.has_permission("update"):
            audiences.append(Audience.SITE)
        return audiences

    async def assign(self, row: M, values: dict[str, Any]) -> None:
        audience = Audience(values.get("shared_with", row.shared_with))
        if audience != row.shared_with:
            if audience not in self.audiences:
                raise FieldErrors({"shared_with": gettext("You may not share it with these users.")})
            row.owner_id = self.user.id if self.user and audience is Audience.ME else None
            row.team_id = self.team.id if self.team and audience is Audience.TEAM else None
            row.shared_at = utc_now()
        await super().assign(row, values)


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
    return await session.scalar(query.order_by(col(Assistant.id)).limit(1))


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
    model = assistant.model
    notice = ""
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
