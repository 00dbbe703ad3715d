"""Pages of assistants, of the prompt library, and of the memory."""

from types import MappingProxyType
from typing import Annotated, Any

from fastapi import Form as FormField
from fastapi import Request, Response

from opportune.accounts import CurrentUser
from opportune.contrib.answers import ALL_TOOLS
from opportune.contrib.assistants.memory import Memories, is_memory_on, switch_memory
from opportune.contrib.assistants.models import AUDIENCES, ICONS, Assistant, Memory, Prompt
from opportune.contrib.assistants.service import Assistants, Prompts, SharedRows
from opportune.contrib.tools import full_toolbox_of
from opportune.crud import CrudPages, writing
from opportune.crud.page_options import M
from opportune.db import WriteSession
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.pagination import Page
from opportune.web import Form, flash, icons, redirect

MEMORY_PATH = "/assistants/memory"

icons.add(*ICONS)


class SharedPages(CrudPages[M]):
    """Pages of rows that belong to a user, a team or the site."""

    columns = ("name", "description", "shared_with")
    formats = MappingProxyType({"shared_with": lambda audience: str(AUDIENCES[audience])})

    async def build_form(self, request: Request, crud: SharedRows[Any], row: Any = None) -> Form[Any]:
        form = await super().build_form(request, crud, row)
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

    async def build_form(
        self, request: Request, crud: SharedRows[Assistant], row: Assistant | None = None
    ) -> Form[Any]:
        form = await super().build_form(request, crud, row)
        form.offer({"icon": ICONS, "model": _models(request, row), "tools": _tools(request, row)})
        if knowledge := await _find_knowledge(request, crud, row):
            form.offer({"knowledge": knowledge})
        else:
            form.leave_out(["knowledge"])
        return form


def _unavailable(name: str) -> str:
    return _("%(name)s (no longer available)", name=name)


def _models(request: Request, row: Assistant | None) -> dict[str, str]:
    models = {"": _("The default of this site"), **request.app.state.answers.llm.choices}
    if row and row.model not in models:
        models[row.model] = _unavailable(row.model)
    return models


def _tools(request: Request, row: Assistant | None) -> dict[str, str]:
    tools = full_toolbox_of(request.app).tools
    selected = {name: _unavailable(name) for name in row.tools} if row else {}
    available = {name: f"{tool.status} ({name})" for name, tool in tools.items() if not tool.on_request}
    # Labels of available tools replace those in `selected`.
    return selected | {ALL_TOOLS: _("All tools of this site")} | available


async def _find_knowledge(request: Request, crud: SharedRows[Assistant], row: Assistant | None) -> dict[str, str]:
    """Return the labels of all that tools can search and the user may select, such as collections of documents."""
    knowledge = {name: _unavailable(name) for name in row.knowledge or ()} if row else {}
    for name, tool in full_toolbox_of(request.app).tools.items():
        if tool.parts:
            labels = await tool.parts(crud.session, crud.user)
            knowledge |= {f"{name}:{part}": label for part, label in labels.items()}
    return knowledge


class MemoryPages(CrudPages[Memory]):
    name, plural = "Remembered fact", "Remembered facts"
    columns = fields = ("text", "created_at")

    async def list_context(self, request: Request, crud: Any, page: Page[Any]) -> dict[str, Any]:
        return {"is_on": await is_memory_on(crud.session, crud.user.id)}


prompt_router = PromptPages(Prompts, "/assistants/prompts").router
assistant_router = AssistantPages(Assistants, "/assistants").router
memory_router = MemoryPages(Memories, MEMORY_PATH).router


@memory_router.post("/switch")
async def switch_memory_on_or_off(
    request: Request, user: CurrentUser, session: WriteSession, is_on: Annotated[bool, FormField()]
) -> Response:
    await switch_memory(session, user.id, is_on=is_on)
    flash(request, _("Memory is on.") if is_on else _("Memory is off. Models no longer get these facts."))
    return redirect(request, MEMORY_PATH)


@memory_router.post("/erase")
async def erase_memory(request: Request, memories: Annotated[Memories, writing(Memories, "delete")]) -> Response:
    await memories.erase()
    flash(request, _("All facts are erased."))
    return redirect(request, MEMORY_PATH)
