"""Several processes on one database: the one that writes, those that follow, those that died."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat import answer_store, answering
from app.chat.answer_manager import AnswerManager
from app.chat.events import html_events
from app.chat.live_answer import LiveAnswer
from app.chat.models import Message, Status
from app.chat.service import MAX_RUNNING_ANSWERS
from opportune.db import Database, utc_now
from opportune.llm import FakeProvider, LanguageModel
from tests.chat.conversations import (
    TIMEOUT_SECONDS,
    kill_process,
    set_values,
    shown_messages,
    start_conversation,
    wait_until_ended,
    wait_until_saved,
)


async def test_another_process_can_stop_an_answer(
    manager: AnswerManager, owner_id: int, model: FakeProvider, database: Database
) -> None:
    model.script = ["So far", asyncio.Event()]
    _, answer = await start_conversation(manager, owner_id)
    sibling = AnswerManager(database, LanguageModel(lambda: None))
    await answering.stop(sibling, owner_id, answer)
    assert (await wait_until_ended(manager, answer)).status == Status.STOPPED


async def test_another_process_shows_the_answer_as_it_grows(
    manager: AnswerManager, owner_id: int, model: FakeProvider, database: Database
) -> None:
    gate = asyncio.Event()
    model.script = ["One, ", gate, "two."]
    conversation_id, answer = await start_conversation(manager, owner_id)
    await wait_until_saved(database, answer.id, "One, ")
    sibling = AnswerManager(database, LanguageModel(lambda: None))
    (_, answer) = await shown_messages(sibling, owner_id, conversation_id)
    assert answer.text == "One, "
    seen = []
    async with sibling.view(answer) as live, asyncio.timeout(TIMEOUT_SECONDS):
        async for text in live.growth(0):
            seen.append(text)
            gate.set()
    assert seen == ["One, ", "One, two."]
    assert live.message.status == Status.DONE


async def test_every_viewer_gets_the_same_text(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    gate = asyncio.Event()
    model.script = ["One, ", gate, "two."]
    _, answer = await start_conversation(manager, owner_id)

    async def look(live: LiveAnswer) -> str:
        return [text async for text in live.growth(0)][-1]

    async with manager.view(answer) as live, asyncio.timeout(TIMEOUT_SECONDS):
        viewers = [asyncio.create_task(look(live)) for _ in range(50)]
        gate.set()
        assert set(await asyncio.gather(*viewers)) == {"One, two."}


async def test_a_closing_process_stores_what_there_is(
    manager: AnswerManager, owner_id: int, model: FakeProvider
) -> None:
    model.script = ["Almost", asyncio.Event()]
    conversation_id, answer = await start_conversation(manager, owner_id)
    async with manager.view(answer) as live, asyncio.timeout(TIMEOUT_SECONDS):
        await anext(live.growth(0))
    await manager.close()
    answer = (await shown_messages(manager, owner_id, conversation_id))[-1]
    assert (answer.status, answer.text) == (Status.INTERRUPTED, "Almost")


async def test_the_answer_of_a_dead_process_is_ended_by_whoever_reads_it(
    manager: AnswerManager, owner_id: int, model: FakeProvider, database: Database
) -> None:
    model.script = ["Last words", asyncio.Event()]
    conversation_id, answer = await start_conversation(manager, owner_id)
    await wait_until_saved(database, answer.id, "Last words")
    await kill_process(manager, database, answer)
    reader = AnswerManager(database, LanguageModel(lambda: None))
    answer = (await shown_messages(reader, owner_id, conversation_id))[-1]
    assert (answer.status, answer.text) == (Status.INTERRUPTED, "Last words")


async def test_a_process_that_lost_its_answer_does_not_write_it_any_more(
    manager: AnswerManager, owner_id: int, model: FakeProvider, database: Database
) -> None:
    gate = asyncio.Event()
    model.script = ["Mine", gate, " and more"]
    conversation_id, answer = await start_conversation(manager, owner_id)
    await wait_until_saved(database, answer.id, "Mine")
    async with database.writer() as session:
        await session.execute(update(Message).where(col(Message.id) == answer.id).values(worker="another"))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await model.stopped.wait()
    gate.set()
    assert (await shown_messages(manager, owner_id, conversation_id))[-1].status == Status.STREAMING


async def test_answers_of_dead_processes_keep_nobody_from_asking(
    manager: AnswerManager, owner_id: int, model: FakeProvider, database: Database
) -> None:
    model.script = [asyncio.Event()]
    for _ in range(MAX_RUNNING_ANSWERS):
        _, answer = await start_conversation(manager, owner_id)
        await kill_process(manager, database, answer)
    model.script = ["An answer."]
    restarted = AnswerManager(database, LanguageModel(lambda: model))
    _, answer = await start_conversation(restarted, owner_id)
    assert (await wait_until_ended(restarted, answer)).status == Status.DONE


async def test_an_answer_of_this_process_is_alive_however_late_its_lease(
    manager: AnswerManager, owner_id: int, model: FakeProvider, database: Database
) -> None:
    gate = asyncio.Event()
    model.script = ["Still ", gate, "here."]
    conversation_id, answer = await start_conversation(manager, owner_id)
    await wait_until_saved(database, answer.id, "Still ")
    await set_values(database, answer, lease_until=utc_now() - timedelta(minutes=1))
    assert (await shown_messages(manager, owner_id, conversation_id))[-1].status == Status.STREAMING
    gate.set()
    assert (await wait_until_ended(manager, answer)).text == "Still here."


async def test_a_lease_that_is_renewed_in_the_last_moment_keeps_the_answer(
    manager: AnswerManager, owner_id: int, model: FakeProvider, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.script = ["Saved", asyncio.Event()]
    conversation_id, answer = await start_conversation(manager, owner_id)
    await wait_until_saved(database, answer.id, "Saved")
    await kill_process(manager, database, answer)
    writer = database.writer

    @asynccontextmanager
    async def renewed_just_before() -> AsyncIterator[AsyncSession]:
        monkeypatch.undo()
        await set_values(database, answer, lease_until=utc_now() + timedelta(minutes=1))
        async with writer() as session:
            yield session

    monkeypatch.setattr(database, "writer", renewed_just_before)
    assert not await answer_store.interrupt_expired(database, [conversation_id])
    progress = (await answer_store.read(database, {answer.id: -1}))[answer.id]
    assert (progress.message.status, progress.text) == (Status.STREAMING, "Saved")


async def test_a_process_that_closes_does_not_wait_for_a_database_that_is_away(
    manager: AnswerManager, owner_id: int, model: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.script = ["So far", asyncio.Event()]
    _, answer = await start_conversation(manager, owner_id)
    stuck = asyncio.Event()

    async def finish(*arguments: Any) -> dict[int, Message | None]:
        await stuck.wait()
        return await original(*arguments)

    original = answer_store.finish
    monkeypatch.setattr(answer_store, "finish", finish)
    monkeypatch.setattr("app.chat.answer_manager.SHUTDOWN_TIMEOUT_SECONDS", 0.05)
    async with asyncio.timeout(TIMEOUT_SECONDS), manager.view(answer) as live:
        await manager.close()
        async for _ in live.growth(0):
            pass
    stuck.set()


async def test_a_page_that_is_opened_again_at_another_process_gets_no_block_twice(
    manager: AnswerManager, owner_id: int, model: FakeProvider, database: Database
) -> None:
    gate = asyncio.Event()
    model.script = ["One.\n\nTwo.\n\nThree.\n\n", gate, "Four."]
    _, answer = await start_conversation(manager, owner_id)
    await wait_until_saved(database, answer.id, "One.\n\nTwo.\n\nThree.\n\n")
    sibling = AnswerManager(database, LanguageModel(lambda: None))

    async def article(_: Message) -> str:
        return ""

    async with sibling.view(answer) as live, asyncio.timeout(TIMEOUT_SECONDS):
        gate.set()
        offset = len("One.\n\nTwo.\n\nThree.\n\n")
        sent = [str(event.raw_data) async for event in html_events(live, offset, article)]
    assert "Four." in "".join(sent)
    assert "One." not in "".join(sent)
