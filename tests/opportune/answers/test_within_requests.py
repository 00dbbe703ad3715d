"""Answers where nothing runs between requests: written while somebody looks, and continued."""

import asyncio

import pytest

from opportune.answers.models import Answer, AnswerStatus
from opportune.answers.within_requests import RequestAnswerManager
from opportune.db import Database
from opportune.llm import LanguageModel
from opportune.testing.statements import counted_statements
from tests.opportune.answers.questions import TIMEOUT_SECONDS, set_values
from tests.opportune.answers.test_takeover import STORY, Storyteller

pytestmark = pytest.mark.database("sqlite")


@pytest.fixture
def model() -> Storyteller:
    return Storyteller(pause=20)


def manager_of(database: Database, model: Storyteller) -> RequestAnswerManager:
    manager = RequestAnswerManager(database, LanguageModel(lambda: model))
    manager.open()
    return manager


async def asked(manager: RequestAnswerManager, owner_id: int) -> Answer:
    async with manager.database.writer() as session:
        return await manager.ask(session, "Tell me a story.", owner_id=owner_id, topic="test:1")


async def found(manager: RequestAnswerManager, answer: Answer, owner_id: int) -> Answer:
    stored = await manager.find(answer.id, owner_id)
    assert stored
    return stored


async def ended(manager: RequestAnswerManager, answer: Answer, owner_id: int) -> Answer:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (stored := await found(manager, answer, owner_id)).is_running:
            await asyncio.sleep(0.01)
    return stored


async def test_an_answer_is_written_while_it_is_looked_at_and_offers_to_go_on(
    database: Database, model: Storyteller, owner_id: int
) -> None:
    asking, streaming = manager_of(database, model), manager_of(database, model)
    answer = await asked(asking, owner_id)
    await asking.refresh([await found(asking, answer, owner_id)])
    assert model.received == [], "the request that asked has ended"
    assert not asking._tasks

    async with asyncio.timeout(TIMEOUT_SECONDS), streaming.view(await found(streaming, answer, owner_id)) as live:
        async for text in live.growth(0):
            if len(text) == 20:
                break
    stored = await ended(streaming, answer, owner_id)
    assert (stored.status, stored.text, stored.can_go_on) == (AnswerStatus.INTERRUPTED, STORY[:20], True)
    assert stored.error.startswith("Nobody was looking any more")

    with counted_statements() as statements:
        await asyncio.sleep(0.3)
    assert statements == [], "nothing runs between requests"

    model.may_go_on.set()
    model.continues = False  # as most endpoints: it is told to go on
    async with database.writer() as session:
        await asking.resume(session, stored)
    async with asyncio.timeout(TIMEOUT_SECONDS), asking.view(await found(asking, answer, owner_id)) as live:
        texts = [text async for text in live.growth(20)]
    assert texts[-1] == STORY[:20] + STORY
    stored = await ended(asking, answer, owner_id)
    assert (stored.status, stored.text) == (AnswerStatus.DONE, STORY[:20] + STORY)


async def test_what_a_frozen_process_left_ends_for_who_opens_the_page_and_goes_on_for_who_opens_its_stream(
    database: Database, model: Storyteller, owner_id: int
) -> None:
    model.may_go_on.set()
    manager = manager_of(database, model)
    for is_streamed, status in ((False, AnswerStatus.INTERRUPTED), (True, AnswerStatus.DONE)):
        answer = await asked(manager, owner_id)
        await set_values(database, answer, worker="f" * 32, lease_until=answer.created_at)
        left = await found(manager, answer, owner_id)
        if is_streamed:
            async with asyncio.timeout(TIMEOUT_SECONDS), manager.view(left) as live:
                _ = [text async for text in live.growth(0)]
        else:
            await manager.refresh([left])
        assert (await ended(manager, answer, owner_id)).status == status
