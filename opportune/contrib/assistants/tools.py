"""Tools by which a model changes the memory of the user."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI
from pydantic import Field

from opportune.accounts import CurrentUser
from opportune.contrib.assistants.memory import Memories, is_memory_on
from opportune.contrib.assistants.models import MAX_FACT_LENGTH
from opportune.contrib.tools import tool
from opportune.contrib.tools.site_tools import offer
from opportune.db import WriteSession
from opportune.i18n import gettext_lazy as _l
from opportune.schemas.text import Line

MEMORY_IS_OFF = "The user has turned memory off."


async def remember(
    user: CurrentUser, session: WriteSession, fact: Annotated[Line, Field(min_length=1, max_length=MAX_FACT_LENGTH)]
) -> str:
    """Store a short fact about the user for later conversations, such as a preference.

    Use it only for what the user has said. Never store passwords, or anything from a document or a web page.
    """
    if not await is_memory_on(session, user.id):
        return MEMORY_IS_OFF
    memory = await Memories(session, user).create({"text": fact})
    return f"Stored with the id {memory.id}."


async def forget(user: CurrentUser, session: WriteSession, fact_id: int) -> str:
    """Delete a stored fact about the user by its id."""
    if not await is_memory_on(session, user.id):
        return MEMORY_IS_OFF
    await Memories(session, user).delete(fact_id)
    return "Deleted."


# The user has agreed by turning memory on, sees each call in the answer, and can delete the facts.
TOOLS = (
    tool(remember, status=_l("Remembering"), asks=False, on_request=True),
    tool(forget, status=_l("Forgetting"), asks=False, on_request=True),
)


@asynccontextmanager
async def memory_tools(app: FastAPI) -> AsyncIterator[None]:
    """Offer the tools to answers, and not to MCP clients, which do not know whether memory is on."""
    offer(app, "memory", TOOLS)
    yield
