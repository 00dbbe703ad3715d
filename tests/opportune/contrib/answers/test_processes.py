"""Several processes on one database: writers, followers and dead ones."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import AsyncMock

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.contrib.answers import Answer, AnswerManager, AnswerStatus
from opportune.contrib.answers.engine import results, store
from opportune.contrib.answers.engine.capacity import MAX_RUNNING_ANSWERS
from opportune.contrib.answers.engine.follower import AnswerFollower
from opportune.contrib.answers.testing import create_manager
from opportune.contrib.llm import FakeProvider, LanguageModel, Reasoning
from opportune.db import utc_now
from tests.opportune.contrib.answers import questions
from tests.opportune.stored_rows import delete_row


async def test_other_process_stops_an_answer(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    model.script = ["So far", asyncio.Event()]
    answer = await questions.ask(manager, owner_id)
    sibling = create_manager(manager.database, LanguageModel(lambda: None))
    await sibling.stop(answer)
    assert (await questions.wait_until_ended(manager, answer)).status == AnswerStatus.STOPPED


@pytest.mark.database("sqlite", "postgresql")
async def test_other_process_streams_an_answer(manager: AnswerManager, owner_id: int) -> None:
    reasons, gate = asyncio.Event(), asyncio.Event()
    answer = await questions.start_answer(manager, owner_id, "One, ", reasons, Reasoning("Hm."), gate, "two.")
    sibling = create_manager(manager.database, LanguageModel(lambda: None))
    answer = await questions.load_answer(sibling, answer)
    assert answer.text == "One, "
    seen = []
    async with sibling.view(answer) as live, asyncio.timeout(questions.TIMEOUT_SECONDS):
        async for growth in live.follow(0):
            seen.append((growth.text, growth.reasoning))
            reasons.set()
            if live.reasoning:
                gate.set()
    assert seen == [("One, ", ""), ("", "Hm."), ("two.", "")]
    assert live.answer.status == AnswerStatus.DONE


async def test_closed_stream_keeps_newer_viewers(
    manager: AnswerManager, owner_id: int, model: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()
    model.script = ["One, ", gate, "two."]
    answer = await questions.ask(manager, owner_id)
    follower = AnswerFollower(manager.database, manager.engine.take_over)
    async with AsyncExitStack() as first_viewer, asyncio.timeout(questions.TIMEOUT_SECONDS):
        with monkeypatch.context() as patched:
            patched.setattr(store, "read_progress", AsyncMock(return_value={}))  # as for a deleted answer
            first = await first_viewer.enter_async_context(follower.follow(answer))
            assert [growth async for growth in first.follow(0)] == []
        async with follower.follow(answer) as live:
            await first_viewer.aclose()
            async for _ in live.follow(0):
                gate.set()
    assert (live.answer.status, live.text) == (AnswerStatus.DONE, "One, two.")


async def test_resumed_text_is_read_once(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    model.script = [asyncio.Event()]
    answer = await questions.ask(manager, owner_id)
    await questions.set_values(manager, answer, text="Half of it", reasoning="Hm.")
    first = await questions.read_progress(manager, answer)
    (second,) = (await store.read_progress(manager.database, {answer.id: first.last_seq})).values()
    assert (first.text, second.text, second.reasoning) == ("Half of it", "", "")


async def test_viewer_of_a_resumed_answer_follows_it(manager: AnswerManager) -> None:
    follower = AnswerFollower(manager.database, manager.engine.take_over)
    async with follower.follow(Answer(id=1)) as first:
        first.finish(Answer(id=1, status=AnswerStatus.INTERRUPTED))
        async with follower.follow(Answer(id=1)) as second:
            assert not second.ended


@pytest.mark.database("sqlite", "postgresql")
async def test_process_without_lease_stops_writing(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    gate = asyncio.Event()
    answer = await questions.start_answer(manager, owner_id, "Mine", gate, " and more")
    await questions.set_values(manager, answer, worker="another")
    await asyncio.wait_for(model.stopped.wait(), questions.TIMEOUT_SECONDS)
    gate.set()
    assert (await questions.load_answer(manager, answer)).status == AnswerStatus.STREAMING


async def test_dead_answers_do_not_count(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    model.script = [asyncio.Event()]
    for _ in range(MAX_RUNNING_ANSWERS):
        answer = await questions.ask(manager, owner_id)
        await questions.kill_process(manager, answer)
    model.script = ["An answer."]
    restarted = create_manager(manager.database, LanguageModel(lambda: model))
    assert (await questions.ask_and_wait(restarted, owner_id)).status == AnswerStatus.DONE


@pytest.mark.database("sqlite", "postgresql")
async def test_renewed_lease_is_kept(manager: AnswerManager, owner_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = await questions.start_answer(manager, owner_id, "Saved", asyncio.Event())
    await questions.kill_process(manager, answer)
    writer = manager.database.writer

    @asynccontextmanager
    async def renewed_just_before() -> AsyncIterator[AsyncSession]:
        monkeypatch.undo()
        await questions.set_values(manager, answer, lease_until=utc_now() + timedelta(minutes=1))
        async with writer() as session:
            yield session

    monkeypatch.setattr(manager.database, "writer", renewed_just_before)
    sibling = create_manager(manager.database, LanguageModel(lambda: None))
    await sibling.engine.take_over([(await questions.read_progress(manager, answer)).answer])
    progress = await questions.read_progress(manager, answer)
    assert (progress.answer.status, progress.text) == (AnswerStatus.STREAMING, "Saved")


async def test_close_does_not_wait_for_an_outage(
    manager: AnswerManager, owner_id: int, model: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.script = ["So far", asyncio.Event()]
    answer = await questions.ask(manager, owner_id)
    may_finish = asyncio.Event()

    async def finish(*arguments: Any) -> dict[int, Answer | None]:
        await may_finish.wait()
        return await original(*arguments)

    original = results.finish_answers
    monkeypatch.setattr(results, "finish_answers", finish)
    monkeypatch.setattr("opportune.contrib.answers.engine.engine.SHUTDOWN_TIMEOUT_SECONDS", 0.05)
    async with asyncio.timeout(questions.TIMEOUT_SECONDS), manager.view(answer) as live:
        await manager.engine.close()
        await questions.read_to_end(live)
    may_finish.set()


async def test_deleted_answer_writes_into_no_other(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    deleted = await questions.start_answer(manager, owner_id, "Secret", asyncio.Event())
    await delete_row(manager.database, deleted)
    model.script = ["Another answer."]
    assert (await questions.ask_and_wait(manager, owner_id)).text == "Another answer."
