"""Questions and what is stored of them and their answers."""

import asyncio

import pytest

from app.chat import answering
from app.chat.answer_manager import AnswerManager
from app.chat.models import Role, Status
from app.chat.schemas import ConversationFilter, MessageCreate
from app.chat.service import MAX_RUNNING_ANSWERS, AnswerRunningError, Chat, TooManyAnswersError
from opportune import llm
from opportune.db import Database
from opportune.llm import FakeProvider, LanguageModel
from tests.chat.conversations import shown_messages, start_conversation, wait_until_ended


async def test_a_question_and_its_whole_answer_are_stored(
    manager: AnswerManager, owner_id: int, model: FakeProvider
) -> None:
    model.script = ["Because ", "it is.", llm.Done(prompt_tokens=12, completion_tokens=3)]
    conversation_id, answer = await start_conversation(manager, owner_id)
    await wait_until_ended(manager, answer)
    question, answer = await shown_messages(manager, owner_id, conversation_id)
    assert (question.role, question.text, question.status) == (Role.USER, "Why?", Status.DONE)
    assert (answer.role, answer.text, answer.status) == (Role.ASSISTANT, "Because it is.", Status.DONE)
    assert (answer.prompt_tokens, answer.completion_tokens, answer.usage_estimated) == (12, 3, False)
    assert answer.finished_at is not None
    assert answer.model == "Scripted"


async def test_usage_is_estimated_where_the_model_tells_none(
    manager: AnswerManager, owner_id: int, model: FakeProvider
) -> None:
    model.script = ["four" * 5]
    _, answer = await start_conversation(manager, owner_id)
    stored = await wait_until_ended(manager, answer)
    assert (stored.completion_tokens, stored.usage_estimated) == (5, True)
    assert stored.prompt_tokens > 0


async def test_the_history_is_sent_with_the_next_question(
    manager: AnswerManager, owner_id: int, model: FakeProvider
) -> None:
    conversation_id, answer = await start_conversation(manager, owner_id, "First?")
    await wait_until_ended(manager, answer)
    _, answer = await answering.ask(manager, owner_id, conversation_id, MessageCreate(content="Second?"))
    await wait_until_ended(manager, answer)
    assert [turn.content for turn in model.received[1][1:]] == ["First?", "An answer.", "Second?"]


CODES: list[llm.provider.ErrorCode] = ["refused", "unauthorised", "rate_limited", "timeout", "malformed", "unavailable"]


async def test_a_model_that_fails_leaves_one_sentence_and_the_text_so_far(
    manager: AnswerManager, owner_id: int, model: FakeProvider
) -> None:
    for code in CODES:
        model.script = ["Half an", llm.LLMError(code, "The model said no.")]
        conversation_id, answer = await start_conversation(manager, owner_id)
        await wait_until_ended(manager, answer)
        question, answer = await shown_messages(manager, owner_id, conversation_id)
        assert question.text == "Why?"
        assert (answer.status, answer.text, answer.error_code) == (Status.FAILED, "Half an", code)
        assert answer.error == "The model said no."


async def test_a_model_that_crashes_is_an_error_without_detail(
    manager: AnswerManager, owner_id: int, model: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: object) -> None:
        raise ValueError("a secret")

    monkeypatch.setattr(model, "stream", crash)
    _, answer = await start_conversation(manager, owner_id)
    stored = await wait_until_ended(manager, answer)
    assert (stored.status, stored.error_code) == (Status.FAILED, "internal")
    assert "secret" not in stored.error


async def test_without_a_model_the_answer_names_the_settings(database: Database, owner_id: int) -> None:
    manager = AnswerManager(database, LanguageModel(lambda: None))
    _, answer = await start_conversation(manager, owner_id)
    stored = await wait_until_ended(manager, answer)
    assert stored.error_code == "not_configured"
    assert "LLM_BASE_URL" in stored.error


async def test_what_no_database_can_store_is_cleaned(
    manager: AnswerManager, owner_id: int, model: FakeProvider
) -> None:
    model.script = ["a\0b\ud83dc"]
    _, answer = await start_conversation(manager, owner_id)
    assert (await wait_until_ended(manager, answer)).text == "ab?c"


async def test_a_second_question_waits_for_the_first_answer(
    manager: AnswerManager, owner_id: int, model: FakeProvider
) -> None:
    model.script = [asyncio.Event()]
    conversation_id, _ = await start_conversation(manager, owner_id)
    with pytest.raises(AnswerRunningError):
        await answering.ask(manager, owner_id, conversation_id, MessageCreate(content="And?"))
    assert len(await shown_messages(manager, owner_id, conversation_id)) == 2


async def test_of_many_questions_at_once_one_is_taken(
    manager: AnswerManager, owner_id: int, model: FakeProvider
) -> None:
    conversation_id, answer = await start_conversation(manager, owner_id)
    await wait_until_ended(manager, answer)
    model.script = [asyncio.Event()]
    asks = [answering.ask(manager, owner_id, conversation_id, MessageCreate(content=f"{i}?")) for i in range(8)]
    results = await asyncio.gather(*asks, return_exceptions=True)
    assert sum(isinstance(result, AnswerRunningError) for result in results) == 7
    assert len(await shown_messages(manager, owner_id, conversation_id)) == 4


async def test_the_same_key_sent_twice_is_one_question(
    manager: AnswerManager, owner_id: int, model: FakeProvider
) -> None:
    conversation_id, answer = await start_conversation(manager, owner_id)
    await wait_until_ended(manager, answer)
    ask = MessageCreate(content="Again?", client_key="k1")
    first = await answering.ask(manager, owner_id, conversation_id, ask)
    second = await answering.ask(manager, owner_id, conversation_id, ask)
    assert [message.id for message in first] == [message.id for message in second]
    await wait_until_ended(manager, second[1])
    assert len(model.received) == 2


async def test_one_person_has_no_more_than_so_many_answers_running(
    manager: AnswerManager, owner_id: int, model: FakeProvider
) -> None:
    model.script = [asyncio.Event()]
    for _ in range(MAX_RUNNING_ANSWERS):
        await start_conversation(manager, owner_id)
    with pytest.raises(TooManyAnswersError):
        await start_conversation(manager, owner_id)
    async with manager.database.reader() as session:
        assert (await Chat(session, owner_id).conversations(ConversationFilter())).total == MAX_RUNNING_ANSWERS


async def test_a_retry_answers_the_same_question_and_replaces_the_failed_answer(
    manager: AnswerManager, owner_id: int, model: FakeProvider
) -> None:
    model.script = [llm.LLMError("timeout", "Too slow.")]
    conversation_id, failed = await start_conversation(manager, owner_id)
    await wait_until_ended(manager, failed)
    model.script = ["Better."]
    _, again = await answering.retry(manager, owner_id, failed)
    await wait_until_ended(manager, again)
    assert [message.text for message in await shown_messages(manager, owner_id, conversation_id)] == ["Why?", "Better."]
    assert [turn.content for turn in model.received[1][1:]] == ["Why?"]


async def test_of_many_first_questions_at_once_no_more_than_allowed_are_taken(
    manager: AnswerManager, owner_id: int, model: FakeProvider
) -> None:
    model.script = [asyncio.Event()]
    results = await asyncio.gather(*(start_conversation(manager, owner_id) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, TooManyAnswersError) for result in results) == 8 - MAX_RUNNING_ANSWERS


@pytest.mark.parametrize("is_first", [True, False])
async def test_the_same_key_sent_at_the_same_moment_is_one_question(
    manager: AnswerManager, owner_id: int, model: FakeProvider, is_first: bool
) -> None:
    conversation_id, answer = await start_conversation(manager, owner_id)
    await wait_until_ended(manager, answer)
    ask = MessageCreate(content="Again?", client_key="k1")
    into = None if is_first else conversation_id
    asked = await asyncio.gather(*(answering.ask(manager, owner_id, into, ask) for _ in range(5)))
    assert len({answer.id for _, answer in asked}) == 1
    await wait_until_ended(manager, asked[0][1])
    assert len(model.received) == 2
