"""Pages of assistants."""

from typing import Any

from fastapi import Request

from opportune.contrib.answers import ALL_TOOLS, AnswerManager
from opportune.contrib.assistants.models import AUDIENCES, ICONS, Assistant
from opportune.contrib.assistants.service import Assistants
from opportune.contrib.tools import full_toolbox_of
from opportune.crud import CrudPages
from opportune.crud.page_options import M
from opportune.i18n import gettext as _
from opportune.web import Form
from opportune.web.static import icons

icons.add(*ICONS)


class SharedPages(CrudPages[M]):
    """Pages of rows that belong to a user, a team or the site."""

    async def _form(self, request: Request, crud: Any, row: Any = None) -> Form[Any]:
        form = await super()._form(request, crud, row)
        offered = {*crud.audiences, *([row.shared_with] if row else [])}
        audiences = {audience: label for audience, label in AUDIENCES.items() if audience in offered}
        if len(audiences) == 1:
            form.leave_out(["shared_with"])
        else:
            form.offer({"shared_with": audiences})
        return form


class AssistantPages(SharedPages[Assistant]):
    columns = ("name", "description", "shared_with")
    fields = ("description", "model", "shared_with", "starters")

    async def _form(self, request: Request, crud: Any, row: Assistant | None = None) -> Form[Any]:
        form = await super()._form(request, crud, row)
        form.offer({"model": _models(request, row), "tools": _tools(request, row)})
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
    labels = {name: f"{tool.status} ({name})" for name, tool in tools.items()}
    return missing | {ALL_TOOLS: _("All tools of this site")} | labels


router = AssistantPages(Assistants, "/assistants").router
