"""Pages of assistants and of the prompt library."""

from types import MappingProxyType
from typing import Any

from fastapi import Request

from opportune.contrib.answers import ALL_TOOLS, AnswerManager
from opportune.contrib.assistants.models import AUDIENCES, ICONS, Assistant, Prompt
from opportune.contrib.assistants.service import Assistants, Prompts
from opportune.contrib.tools import full_toolbox_of
from opportune.crud import CrudPages
from opportune.crud.page_options import M
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.web import Form, icons

icons.add(*ICONS)


class SharedPages(CrudPages[M]):
    """Pages of rows that belong to a user, a team or the site."""

    columns = ("name", "description", "shared_with")
    formats = MappingProxyType({"shared_with": lambda audience: str(AUDIENCES[audience])})

    async def _form(self, request: Request, crud: Any, row: Any = None) -> Form[Any]:
        form = await super()._form(request, crud, row)
        offered = {*crud.audiences, row.shared_with} if row else {*crud.audiences}
        audiences = {audience: label for audience, label in AUDIENCES.items() if audience in offered}
        if len(audiences) == 1:
            form.leave_out(["shared_with"])
        else:
            form.offer({"shared_with": audiences})
        return form


class PromptPages(SharedPages[Prompt]):
    sections = (("", ("name", "description", "text", "shared_with")),)
    fields = ("description", "text", "shared_with")


class AssistantPages(SharedPages[Assistant]):
    sections = (
        ("", ("name", "description", "icon", "shared_with")),
        (_l("Answers"), ("instructions", "model", "temperature", "tools", "knowledge", "starters")),
    )
    fields = ("description", "model", "shared_with", "starters")

    async def _form(self, request: Request, crud: Any, row: Assistant | None = None) -> Form[Any]:
        form = await super()._form(request, crud, row)
        form.offer({"icon": ICONS, "model": _models(request, row), "tools": _tools(request, row)})
        if parts := await _find_parts(request, crud, row):
            form.offer({"knowledge": parts})
        else:
            form.leave_out({"knowledge", *form.left_out})
        return form


def _unavailable(name: str) -> str:
    return _("%(name)s (no longer available)", name=name)


def _models(request: Request, row: Assistant | None) -> dict[str, str]:
    answers: AnswerManager = request.app.state.answers
    models = {"": _("The default of this site"), **answers.llm.choices}
    if row and row.model not in models:
        models[row.model] = _unavailable(row.model)
    return models


def _tools(request: Request, row: Assistant | None) -> dict[str, str]:
    tools = full_toolbox_of(request.app).tools
    selected = {name: _unavailable(name) for name in row.tools} if row else {}
    available = {name: f"{tool.status} ({name})" for name, tool in tools.items() if not tool.on_request}
    return selected | {ALL_TOOLS: _("All tools of this site")} | available


async def _find_parts(request: Request, crud: Any, row: Assistant | None) -> dict[str, str]:
    """Return the parts of tools, such as collections of documents, that the user may select."""
    parts = {name: _unavailable(name) for name in row.knowledge or ()} if row else {}
    for name, tool in full_toolbox_of(request.app).tools.items():
        if tool.parts:
            labels = await tool.parts(crud.session, crud.user)
            parts |= {f"{name}:{part}": label for part, label in labels.items()}
    return parts


prompt_router = PromptPages(Prompts, "/assistants/prompts").router
assistant_router = AssistantPages(Assistants, "/assistants").router
