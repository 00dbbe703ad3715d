"""A site whose model tells a long story, or uses a tool that runs as a long job."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts import CurrentUser
from opportune.application import create_app
from opportune.contrib import llm
from opportune.contrib.answers import Answers
from opportune.contrib.answers.spending.models import LlmState
from opportune.contrib.tools import tool
from opportune.db import WriteSession
from opportune.feature import Feature, Llm
from opportune.features import accounts, answers, jobs
from opportune.features import llm as llm_feature
from opportune.jobs import JobContext, leases

STORY = "".join(f"Wave {number} 🌊 breaks.\n\n" for number in range(40))
CHARACTERS_PER_CHUNK = 3
BOOKS = 40
CALL = llm.ToolCall("call_0", "read_shelf", "{}")

router = APIRouter()


@router.post("/stories")
async def begin_story(session: WriteSession, user: CurrentUser, answers: Answers) -> int:
    return (await answers.ask(session, "Tell me a story.", owner_id=user.id)).id


@router.post("/shelves")
async def begin_shelf(session: WriteSession, user: CurrentUser, answers: Answers) -> int:
    return (await answers.ask(session, "Read them.", owner_id=user.id, tools=True)).id


async def read_shelf(run: JobContext) -> str:
    """Read a shelf."""
    for number in range(BOOKS):
        await run.write(read_book, number)
        await run.progress(number + 1, BOOKS)
        await asyncio.sleep(0.05)
    return f"All {BOOKS} books are read."


async def read_book(session: AsyncSession, number: int) -> None:
    session.add(LlmState(key=f"book {number}"))  # a second row would violate the primary key


class Librarian(llm.Provider):
    name = "Librarian"
    context_budget = 10_000
    continues = True

    async def stream(self, messages: Sequence[llm.Message], **_: Any) -> AsyncGenerator[llm.Chunk, None]:
        """Tell the story from the end of the prompt."""
        text = messages[-1].content if messages[-1].role == "assistant" else ""
        for start in range(len(text), len(STORY), CHARACTERS_PER_CHUNK):
            yield STORY[start : start + CHARACTERS_PER_CHUNK]
            await asyncio.sleep(0.005)
        yield llm.Done()

    async def stream_with_tools(
        self, messages: Sequence[llm.Message], tools: Sequence[llm.ToolSchema], *, temperature: float | None = None
    ) -> AsyncGenerator[llm.Chunk, None]:
        """Request the call, and answer with its result."""
        if messages[-1].role == "tool":
            yield messages[-1].content
            yield llm.Done(10, 5)
        else:
            yield "One moment. "
            yield llm.Done(10, 5, tool_calls=(CALL,))


def create_site() -> FastAPI:
    leases.LEASE_DURATION = timedelta(seconds=2)  # so that the job of a killed process is soon taken over
    library = Feature("library", "Library.", api=router, llm=Llm(tools=[tool(read_shelf, asks=False)]))
    app = create_app(features=[accounts, jobs, llm_feature, answers, library])
    app.state.llm.provider = Librarian()
    return app
