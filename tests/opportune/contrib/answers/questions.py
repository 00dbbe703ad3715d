"""Helpers that ask questions and wait for answers."""

import asyncio
from datetime import timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import col

from opportune.contrib.answers.engine import store
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.answers.models import Answer
from opportune.contrib.llm import FakeProvider
from opportune.contrib.llm.providers.fake import Step
from opportune.db import Database, utc_now

TIMEOUT_SECONDS = 30
"""Timeout of events that a test waits for."""


async def ask(manager: AnswerManager, owner_id: int, question: str = "Why?", topic: str = "") -> Answer:
    async with manager.database.writer() as session:
        return await manager.ask(session, question, owner_id=owner_id, topic=topic)


async def start_answer(manager: AnswerManager, owner_id: int, first: str, *script: Step) -> Answer:
    """Ask a question with a scripted answer, and wait until its first text is saved."""
    assert isinstance(manager.llm.provider, FakeProvider)
    manager.llm.provider.script = [first, *script]
    answer = await ask(manager, owner_id)
    await wait_until_saved(manager.database, answer.id, first)
    return answer


async def retry(manager: AnswerManager, answer: Answer) -> Answer:
    async with manager.database.writer() as session:
        return await manager.retry(session, answer)


async def load_answer(manager: AnswerManager, answer: Answer) -> Answer:
    """Return the answer with its current text, as a page of this process shows it."""
    assert answer.owner_id is not None
    stored = await manager.find(answer.id, answer.owner_id)
    assert stored
    return (await manager.shown(stored)).answer


async def wait_until_ended(manager: AnswerManager, answer: Answer) -> Answer:
    """Wait for the end of an answer as a viewer, and return it."""
    async with manager.view(answer) as live, asyncio.timeout(TIMEOUT_SECONDS):
        async for _ in live.follow_text(0):
            pass
    return live.answer


async def wait_until_saved(database: Database, answer_id: int, text: str) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        progress = None
        while progress is None or progress.text != text:
            await asyncio.sleep(0.01)
            progress = (await store.read_progress(database, {answer_id: -1})).get(answer_id)


async def set_values(database: Database, answer: Answer, **values: Any) -> None:
    async with database.writer() as session:
        await session.execute(update(Answer).where(col(Answer.id) == answer.id).values(values))


async def kill_process(manager: AnswerManager, database: Database, answer: Answer) -> None:
    """Simulate SIGKILL: the row remains with a lease that is not renewed."""
    answer_task = manager._tasks.pop(answer.id)
    answer_task.task.cancel()  # no more saves and no end
    await asyncio.wait([answer_task.task])
    answer_task._generation.cancel()
    await set_values(database, answer, lease_until=utc_now() - timedelta(seconds=1))
