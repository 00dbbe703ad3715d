"""Starts and stops the model and the answers with the application."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from app.chat.answer_manager import AnswerManager
from opportune import llm
from opportune.server import shutting_down

logger = logging.getLogger(__name__)


@asynccontextmanager
async def running_answers(app: FastAPI) -> AsyncIterator[None]:
    provider = llm.make_provider(app.state.settings)
    manager = app.state.chat = AnswerManager(app.state.database, provider)
    tasks = [asyncio.create_task(_close_in_time(app, manager))]
    if provider:
        tasks.append(asyncio.create_task(_set_up(provider)))
    try:
        yield
    finally:
        await manager.close()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        if provider:
            await provider.close()


async def _close_in_time(app: FastAPI, manager: AnswerManager) -> None:
    # The server waits for open streams before it ends the lifespan: their answers must end first.
    await shutting_down(app).wait()
    await manager.close()


async def _set_up(provider: llm.Provider) -> None:
    # The port opens meanwhile. A failure shows again, to whoever asks, at the first question.
    with suppress(llm.LLMError):
        await provider.setup()
