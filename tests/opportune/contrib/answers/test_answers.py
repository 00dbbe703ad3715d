"""Storage and limits of answers."""

import asyncio

import pytest

from opportune.contrib import llm
from opportune.contrib.answers import AnswerManager, AnswerStatus
from opportune.contrib.answers.engine.capacity import MAX_RUNNING_ANSWERS, AnswerRunning, TooManyAnswers
from opportune.contrib.llm import FakeProvider
from tests.opportune.contrib.answers.questions import ask, ask_and_wait, retry, wait_until_ended


@pytest.mark.database("sqlite", "postgresql")
async def test_question_and_answer_are_stored(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    model.script = ["Because ", "it is.", llm.Done(prompt_tokens=12, completion_tokens=3)]
    answer = await ask_and_wait(manager, owner_id)
    assert (answer.question, answer.text, answer.status) == ("Why?", "Because it is.", AnswerStatus.DONE)
    assert (answer.prompt_tokens, answer.completion_tokens, answer.usage_estimated) == (12, 3, False)
    assert answer.finished_at is not None
    assert answer.model == "Scripted"
    assert answer.prompt == [], "the prompt of a complete answer is deleted"


async def test_rolled_back_question_is_not_asked(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    async with manager.database.writer() as session:
        await manager.ask(session, "Why?", owner_id=owner_id)
        await session.rollback()
    assert not manager.engine.tasks
    assert model.received == []


@pytest.mark.database("sqlite", "postgresql")
async def test_one_answer_per_topic_runs(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    model.script = [asyncio.Event()]
    await ask(manager, owner_id, topic="books:1")
    results = await asyncio.gather(*(ask(manager, owner_id, topic="books:1") for _ in range(3)), return_exceptions=True)
    assert {type(result) for result in results} == {AnswerRunning}
    assert (await ask(manager, owner_id, topic="books:2")).is_running


async def test_retry_keeps_the_failed_answer(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    model.script = ["Half", llm.LlmError("timeout", "Too slow.")]
    failed = await ask_and_wait(manager, owner_id, topic="books:1")
    assert (failed.status, failed.text) == (AnswerStatus.FAILED, "Half")
    assert (failed.error_code, failed.error) == ("timeout", "Too slow.")
    model.script = ["Better."]
    retried = await wait_until_ended(manager, await retry(manager, failed))
    assert (retried.id > failed.id, retried.question, retried.text) == (True, "Why?", "Better.")
    assert model.received[0] == model.received[1]
    newest = await manager.newest("books:1", owner_id)
    assert newest
    assert newest.answer.id == retried.id
    assert await manager.newest("books:1", owner_id + 1) is None, "other users do not find it"


async def test_crash_of_the_model_hides_details(
    manager: AnswerManager, owner_id: int, model: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: object) -> None:
        raise ValueError("a secret")

    monkeypatch.setattr(model, "stream", crash)
    stored = await ask_and_wait(manager, owner_id)
    assert (stored.status, stored.error_code) == (AnswerStatus.FAILED, "internal")
    assert "secret" not in stored.error


@pytest.mark.database("sqlite", "postgresql")
async def test_unstorable_characters_are_removed(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    model.script = ["a\0b\ud83dc", llm.LlmError("unavailable", "\0" + "x" * 600)]
    stored = await ask_and_wait(manager, owner_id)
    assert (stored.text, stored.error) == ("ab?c", "x" * 500)


@pytest.mark.database("sqlite", "postgresql")
async def test_parallel_questions_are_limited(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    model.script = [asyncio.Event()]
    results = await asyncio.gather(*(ask(manager, owner_id) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, TooManyAnswers) for result in results) == 8 - MAX_RUNNING_ANSWERS
