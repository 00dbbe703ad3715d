"""Pages of the memory: the user turns it on, and reads, edits and erases its facts."""

from typing import Annotated, Any

from fastapi import Form as FormField
from fastapi import Request, Response

from opportune.accounts import CurrentUser
from opportune.contrib.assistants.memory import Memories, is_memory_on, switch_memory
from opportune.contrib.assistants.models import Memory
from opportune.crud import CrudPages, writing
from opportune.db import WriteSession
from opportune.i18n import gettext as _
from opportune.pagination import Page
from opportune.web import flash, redirect

PATH = "/assistants/memory"


class MemoryPages(CrudPages[Memory]):
    name, plural = "Remembered fact", "Remembered facts"
    columns = fields = ("text", "created_at")

    async def list_context(self, request: Request, crud: Any, page: Page[Any]) -> dict[str, Any]:
        return {"is_on": await is_memory_on(crud.session, crud.user.id)}


router = MemoryPages(Memories, PATH).router


@router.post("/switch")
async def switch(
    request: Request, user: CurrentUser, session: WriteSession, is_on: Annotated[bool, FormField()]
) -> Response:
    await switch_memory(session, user.id, is_on=is_on)
    flash(request, _("Memory is on.") if is_on else _("Memory is off. Models no longer get these facts."))
    return redirect(request, PATH)


@router.post("/erase")
async def erase(request: Request, memories: Annotated[Memories, writing(Memories, "delete")]) -> Response:
    await memories.erase()
    flash(request, _("All facts are erased."))
    return redirect(request, PATH)
