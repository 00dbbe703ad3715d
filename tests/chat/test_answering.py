"""Questions and answers as they are stored, and repeated or concurrent requests."""

import asyncio

import pytest

from app.chat import service
from app.chat.schemas import MessageCreate
from opportune.contrib.answers import AnswerManager, AnswerRunning
from opportune.contrib.llm import FakeProvider
from tests.chat.conversations import read_messages, start_conversation, wait_until_ended


async def test_model_receives_the_earlier_messages(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    conversation_id, answer = await start_conversation(manager, owner_id, "First?")
    await wait_until_ended(manager, answer)
    _, answer = await service.ask(manager, owner_id, conversation_id, MessageCreate(content="Second?"))
    await wait_until_ended(manager, answer)
    assert [turn.content for turn in model.received[1][1:]] == ["First?", "An answer.", "Second?"]


@pytest.mark.database("postgresql")
async def test_only_one_of_concurrent_questions_is_stored(
    manager: AnswerManager, owner_id: int, model: FakeProvider
) -> None:
    conversation_id, answer = await start_conversation(manager, owner_id)
    await wait_until_ended(manager, answer)
    model.script = [asyncio.Event()]
    questions = [service.ask(manager, owner_id, conversation_id, MessageCreate(content=f"{i}?")) for i in range(4)]
    results = await asyncio.gather(*questions, return_exceptions=True)
    assert sum(isinstance(result, AnswerRunning) for result in results) == 3
    assert len(await read_messages(manager, owner_id, conversation_id)) == 4


@pytest.mark.database("postgresql")
@pytest.mark.parametrize("is_first", [True, False])
async def test_concurrent_repeated_key_stores_one_question(
    manager: AnswerManager, owner_id: int, model: FakeProvider, is_first: bool
) -> None:
    conversation_id, answer = await start_conversation(manager, owner_id)
    await wait_until_ended(manager, answer)
    new_message = MessageCreate(content="Again?", client_key="k1")
    target_id = None if is_first else conversation_id
    results = await asyncio.gather(*(service.ask(manager, owner_id, target_id, new_message) for _ in range(5)))
    assert len({answer.id for _, answer in results}) == 1
    await wait_until_ended(manager, results[0][1])
    assert len(model.received) == 2
