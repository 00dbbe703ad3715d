"""Answers that wait for the user or a job."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts import User
from opportune.contrib.answers import Answer, AnswerManager
from opportune.contrib.answers.testing import create_manager
from opportune.contrib.llm import FakeProvider, LanguageModel
from opportune.contrib.tools import Toolbox
from opportune.jobs.models import Job
from tests.opportune.contrib.answers.questions import TIMEOUT_SECONDS, ask, find, wait_until_ended

StartManager = Callable[..., AnswerManager]


@pytest.fixture
async def start_manager(app: FastAPI) -> AsyncIterator[StartManager]:
    """Start managers for the site and its jobs, as after a restart. They continue no answer by themselves."""
    managers: list[AnswerManager] = []

    def start(model: FakeProvider, tools: Toolbox, **options: Any) -> AnswerManager:
        llm = LanguageModel(lambda: model)
        app.state.answers = create_manager(app.state.database, llm, make_toolbox=lambda: tools, **options)
        app.state.tool_jobs.make_toolbox, app.state.tool_jobs.on_result = lambda: tools, lambda: None
        managers.append(app.state.answers)
        return managers[-1]

    yield start
    for manager in managers:
        await manager.engine.close()


async def wait_for_tasks(manager: AnswerManager) -> None:
    if tasks := [answer_task.task for answer_task in manager.engine.tasks.values()]:
        await asyncio.wait(tasks, timeout=TIMEOUT_SECONDS)


async def ask_until_waiting(manager: AnswerManager, owner: User, topic: str = "") -> Answer:
    answer = await ask(manager, owner.id, "What is there?", topic, tools=True)
    await wait_for_tasks(manager)
    return await find(manager, answer.id)


async def end(manager: AnswerManager, answer: Answer) -> Answer:
    await manager.engine.continue_released()
    return await wait_until_ended(manager, await find(manager, answer.id))


async def cancel_job(app: FastAPI) -> None:
    async with app.state.database.writer() as session:
        await app.state.jobs.cancel(session, await session.scalar(select(col(Job.id))))
