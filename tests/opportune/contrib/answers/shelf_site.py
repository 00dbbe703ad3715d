"""A site whose model uses a tool that runs as a long job."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta

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
from opportune.jobs import JobContext, store

BOOKS = 30
CALL = llm.ToolCall("call_0", "read_shelf", "{}")

router = APIRouter(prefix="/shelves")


@router.post("")
async def begin(session: WriteSession, user: CurrentUser, answers: Answers) -> int:
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
    """Requests the call, and answers with its result."""

    name = "Librarian"
    context_budget = 10_000

    async def stream(
        self, messages: Sequence[llm.Message], *, temperature: float | None = None
    ) -> AsyncGenerator[llm.Chunk, None]:
        yield messages[-1].content if messages[-1].role == "tool" else "One moment. "
        yield llm.Done(10, 5, tool_calls=() if messages[-1].role == "tool" else (CALL,))

    def stream_with_tools(
        self, messages: Sequence[llm.Message], tools: Sequence[llm.ToolSchema], *, temperature: float | None = None
    ) -> AsyncGenerator[llm.Chunk, None]:
        return self.stream(messages)


def create_site() -> FastAPI:
    store.LEASE_DURATION = timedelta(seconds=2)  # so that the job of a killed process is soon taken over
    shelves = Feature("shelves", "Shelves.", api=router, llm=Llm(tools=[tool(read_shelf, asks=False)]))
    app = create_app(features=[accounts, jobs, llm_feature, answers, shelves])
    app.state.llm.provider = Librarian()
    return app
