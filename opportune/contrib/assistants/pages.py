"""Pages of assistants."""

from typing import Any

from fastapi import Request

from opportune.contrib.answers import ALL_TOOLS, AnswerManager
from opportune.contrib.assistants.icons import ICONS
from opportune.contrib.assistants.models import Assistant
from opportune.contrib.assistants.service import Assistants
from opportune.contrib.assistants.shared_pages import SharedPages
from opportune.contrib.tools import full_toolbox_of
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.web import Form
from opportune.web.static import icons

icons.add(*ICONS)


class AssistantPages(SharedPages[Assistant]):
    columns = ("name", "description", "shared_with")
    sections = (
        ("", ("name", "description", "icon", "shared_with")),
        (_l("Answers"), ("instructions", "model", "temperature", "tools", "knowledge", "starters")),
    )
    fields = ("description", "model", "shared_with", "starters")

    async def _form(self, request: Request, crud: Any, row: Assistant | None = None) -> Form[Any]:
        form = await super()._form(request, crud, row)
        knowledge = await _knowledge(request, crud, row)
        if knowledge:
            form.offer({"knowledge": knowledge})
        else:
            form.leave_out({"knowledge", *form.left_out})
        form.offer({"icon": ICONS, "model": _models(request, row), "tools": _tools(request, row)})
        return form


def _models(request: Request, row: Assistant | None) -> dict[str, str]:
    answers: AnswerManager = request.app.state.answers
    models = {"": _("The default of this site"), **answers.llm.choices}
    if row and row.model not in models:
        models[row.model] = _("%(name)s (no longer available)", name=row.model)
    return models


def _tools(request: Request, row: Assistant | None) -> dict[str, str]:
    tools = full_toolbox_of(request.app).tools
    missing = {name: _("%(name)s (no longer available)", name=name) for name in row.tools} if row else {}
    labels = {name: f"{tool.status} ({name})" for name, tool in tools.items() if not tool.on_request}
    return missing | {ALL_TOOLS: _("All tools of this site")} | labels


async def _knowledge(request: Request, crud: Any, row: Assistant | None) -> dict[str, str]:
    """Return the parts of tools, such as collections of documents, that the user may select."""
    parts = {name: _("%(name)s (no longer available)", name=name) for name in (row.knowledge or ())} if row else {}
    for name, tool in full_toolbox_of(request.app).tools.items():
        if tool.parts:
            found = await tool.parts(crud.session, crud.user)
            parts |= {f"{name}:{part}": label for part, label in found.items()}
    return parts


router = AssistantPages(Assistants, "/assistants").router
