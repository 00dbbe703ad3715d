"""Answers without background work: written while they are viewed, then continued."""

import asyncio
from datetime import timedelta

import pytest

from opportune.contrib.answers import Answer, AnswerManager, AnswerStatus
from opportune.contrib.answers.engine.resources import AnswerResources
from opportune.contrib.answers.engine.within_requests import RequestAnswerEngine
from opportune.contrib.llm import LanguageModel
from opportune.db import Database, utc_now
from opportune.testing.statements import counted_statements
from tests.opportune.contrib.answers.questions import TIMEOUT_SECONDS, ask, find, set_values, wait_for_progress
from tests.opportune.contrib.answers.test_takeover import STORY, Storyteller


@pytest.fixture
def model() -> Storyteller:
    return Storyteller(pause=20)


def create_manager(database: Database, model: Storyteller) -> AnswerManager:
    engine = RequestAnswerEngine(AnswerResources(database=database, llm=LanguageModel(lambda: model)))
    engine.open()
    return AnswerManager(engine)


async def poll_until_ended(manager: AnswerManager, answer: Answer) -> Answer:
    return await wait_for_progress(manager, answer, lambda progress: not progress.answer.is_running)


async def read_stream(manager: AnswerManager, answer: Answer, until: str = "") -> str:
    async with asyncio.timeout(TIMEOUT_SECONDS), manager.view(await find(manager, answer.id)) as live:
        async for _ in live.follow(0):
            if until and live.text.endswith(until):
                break
        return live.text


async def wait_until_handed_over(manager: AnswerManager, answer: Answer) -> Answer:
    return await wait_for_progress(manager, answer, lambda progress: not progress.answer.worker)


async def test_reopened_stream_continues_the_answer(database: Database, model: Storyteller, owner_id: int) -> None:
    asking, streaming = create_manager(database, model), create_manager(database, model)
    answer = await ask(asking, owner_id)
    await asking.refresh([await find(asking, answer.id)])
    assert model.received == [], "nothing is generated before the stream is opened"
    assert not asking.engine.tasks
    assert await read_stream(streaming, answer, STORY[10:20]) == STORY[:20]
    stored = await wait_until_handed_over(streaming, answer)
    assert stored.status == AnswerStatus.STREAMING
    assert (await asking.shown(stored)).answer.text == STORY[:20]
    with counted_statements() as statements:
        await asyncio.sleep(0.3)
    assert statements == [], "there are no queries between requests"
    model.may_continue.set()
    assert await read_stream(asking, answer) == STORY
    assert (await poll_until_ended(asking, answer)).status == AnswerStatus.DONE
    assert len(model.received) == 2


async def test_abandoned_answer_can_be_continued(database: Database, model: Storyteller, owner_id: int) -> None:
    manager = create_manager(database, model)
    answer = await ask(manager, owner_id)
    await read_stream(manager, answer, STORY[10:20])
    stored = await wait_until_handed_over(manager, answer)
    await set_values(manager, answer, lease_until=utc_now() - timedelta(minutes=2))
    await manager.refresh([await find(manager, answer.id)])
    stored = await find(manager, answer.id)
    assert (stored.status, stored.text, stored.can_continue) == (AnswerStatus.INTERRUPTED, STORY[:20], True)
    assert stored.error.startswith("The page was closed")
    model.may_continue.set()
    model.continues = False  # as most endpoints, which get an instruction to continue
    async with database.writer() as session:
        await manager.resume(session, stored)
    assert await read_stream(manager, answer) == STORY[:20] + STORY


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_answer_of_a_frozen_process_is_taken_over(
    database: Database, model: Storyteller, owner_id: int, *, is_streamed: bool
) -> None:
    model.may_continue.set()
    manager = create_manager(database, model)
    answer = await ask(manager, owner_id)
    await set_values(manager, answer, worker="f" * 32, lease_until=utc_now() - timedelta(minutes=2))
    if is_streamed:
        assert await read_stream(manager, answer) == STORY
    else:
        await manager.refresh([await find(manager, answer.id)])
    status = AnswerStatus.DONE if is_streamed else AnswerStatus.INTERRUPTED
    assert (await poll_until_ended(manager, answer)).status == status
