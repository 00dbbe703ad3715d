"""Helpers that ask questions and wait for answers."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import update
from sqlmodel import col

from opportune.contrib.answers import Answer, AnswerManager
from opportune.contrib.answers.engine import store
from opportune.contrib.answers.engine.live import LiveAnswer
from opportune.contrib.answers.engine.records import UNREAD, AnswerProgress
from opportune.contrib.llm import FakeProvider
from opportune.contrib.llm.completion.request import Prompt
from opportune.contrib.llm.providers.fake import Step
from opportune.db import utc_now
from tests.opportune.stored_rows import execute, get_row

TIMEOUT_SECONDS = 30
"""Timeout of events that a test waits for."""


async def ask(
    manager: AnswerManager, owner_id: int | None, question: Prompt = "Why?", topic: str = "", **options: Any
) -> Answer:
    """Ask a question. The options are those of `AnswerManager.ask`."""
    async with manager.database.writer() as session:
        return await manager.ask(session, question, owner_id=owner_id, topic=topic, **options)


async def ask_and_wait(manager: AnswerManager, owner_id: int | None, *arguments: Any, **options: Any) -> Answer:
    return await wait_until_ended(manager, await ask(manager, owner_id, *arguments, **options))


async def start_answer(manager: AnswerManager, owner_id: int, first: str, *script: Step) -> Answer:
    """Ask a question with a scripted answer, and wait until its first text is saved."""
    assert isinstance(manager.llm.provider, FakeProvider)
    manager.llm.provider.script = [first, *script]
    answer = await ask(manager, owner_id)
    await wait_until_saved(manager, answer, first)
    return answer


async def retry(manager: AnswerManager, answer: Answer) -> Answer:
    async with manager.database.writer() as session:
        return await manager.retry(session, answer)


async def resume(manager: AnswerManager, answer: Answer) -> Answer:
    async with manager.database.writer() as session:
        continued = await manager.resume(session, answer)
    return await wait_until_ended(manager, continued)


async def find(manager: AnswerManager, answer_id: int) -> Answer:
    return cast("Answer", await get_row(manager.database, Answer, answer_id))


async def load_answer(manager: AnswerManager, answer: Answer) -> Answer:
    assert answer.owner_id is not None
    stored = await manager.find(answer.id, answer.owner_id)
    assert stored
    return (await manager.shown(stored)).answer


async def read_to_end(live: LiveAnswer) -> None:
    """Follow a growing answer until it ends, or its stream is closed."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        async for _ in live.follow(0):
            pass


async def wait_until_ended(manager: AnswerManager, answer: Answer) -> Answer:
    """Wait for the end of an answer as a viewer, and return it."""
    async with manager.view(answer) as live:
        await read_to_end(live)
    return live.answer


async def read_progress(manager: AnswerManager, answer: Answer) -> AnswerProgress:
    return (await store.read_progress(manager.database, {answer.id: UNREAD}))[answer.id]


async def wait_for_progress(
    manager: AnswerManager, answer: Answer, is_reached: Callable[[AnswerProgress], object]
) -> Answer:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not is_reached(progress := await read_progress(manager, answer)):
            await asyncio.sleep(0.01)
    return progress.answer


async def wait_until_saved(manager: AnswerManager, answer: Answer, text: str) -> None:
    await wait_for_progress(manager, answer, lambda progress: progress.text == text)


async def set_values(manager: AnswerManager, answer: Answer, **values: Any) -> None:
    await execute(manager.database, update(Answer).where(col(Answer.id) == answer.id).values(values))


async def kill_process(manager: AnswerManager, answer: Answer) -> None:
    """Simulate SIGKILL: the row remains with a lease that is not renewed."""
    answer_task = manager.engine.tasks.pop(answer.id)
    answer_task.task.cancel()  # no more saves and no end
    await asyncio.wait([answer_task.task])
    answer_task._generation.cancel()
    await set_values(manager, answer, lease_until=utc_now() - timedelta(seconds=1))
