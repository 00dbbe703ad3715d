"""Starts and stops the answers with the application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from opportune.answers.manager import AnswerManager
from opportune.llm.language_model import LanguageModel
from opportune.server import shutting_down


@asynccontextmanager
async def running_answers(app: FastAPI) -> AsyncIterator[None]:
    llm: LanguageModel = app.state.llm
    manager = app.state.answers = AnswerManager(app.state.database, llm)
    # The port opens while the model gets ready.
    tasks = [asyncio.create_task(_close_in_time(app, manager)), asyncio.create_task(llm.setup())]
    try:
        yield
    finally:
        await manager.close()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _close_in_time(app: FastAPI, manager: AnswerManager) -> None:
    # The server waits for open streams before it ends the lifespan: their answers must end first.
    await shutting_down(app).wait()
    await manager.close()
