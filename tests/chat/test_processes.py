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

from app.chat import answering, record
from app.chat.events import html_events
from app.chat.live import LiveAnswer
from app.chat.models import Message, Status
from app.chat.runs import Runs
from app.chat.service import MOST_RUNNING
from opportune.db.database import Database
from opportune.db.model import utc_now
from opportune.llm.fake import Scripted
from tests.chat.talking import BRIEFLY, begin, ended, kill, set_values, shown, until_saved


async def test_another_process_can_stop_an_answer(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    model.script = ["So far", asyncio.Event()]
    _, answer = await begin(runs, owner_id)
    sibling = Runs(database, None)
    await answering.stop(sibling, owner_id, answer)
    assert (await ended(runs, answer)).status == Status.STOPPED


async def test_another_process_shows_the_answer_as_it_grows(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    gate = asyncio.Event()
    model.script = ["One, ", gate, "two."]
    conversation_id, answer = await begin(runs, owner_id)
    await until_saved(database, answer.id, "One, ")
    sibling = Runs(database, None)
    (_, answer) = await shown(sibling, owner_id, conversation_id)
    assert answer.text == "One, "
    seen = []
    async with sibling.view(answer) as live, asyncio.timeout(BRIEFLY):
        async for text in live.growth(0):
            seen.append(text)
            gate.set()
    assert seen == ["One, ", "One, two."]
    assert live.message.status == Status.DONE


async def test_every_viewer_gets_the_same_text(runs: Runs, owner_id: int, model: Scripted) -> None:
    gate = asyncio.Event()
    model.script = ["One, ", gate, "two."]
    _, answer = await begin(runs, owner_id)

    async def look(live: LiveAnswer) -> str:
        return [text async for text in live.growth(0)][-1]

    async with runs.view(answer) as live, asyncio.timeout(BRIEFLY):
        viewers = [asyncio.create_task(look(live)) for _ in range(50)]
        gate.set()
        assert set(await asyncio.gather(*viewers)) == {"One, two."}


async def test_a_closing_process_stores_what_there_is(runs: Runs, owner_id: int, model: Scripted) -> None:
    model.script = ["Almost", asyncio.Event()]
    conversation_id, answer = await begin(runs, owner_id)
    async with runs.view(answer) as live, asyncio.timeout(BRIEFLY):
        await anext(live.growth(0))
    await runs.close()
    answer = (await shown(runs, owner_id, conversation_id))[-1]
    assert (answer.status, answer.text) == (Status.INTERRUPTED, "Almost")


async def test_the_answer_of_a_dead_process_is_ended_by_whoever_reads_it(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    model.script = ["Last words", asyncio.Event()]
    conversation_id, answer = await begin(runs, owner_id)
    await until_saved(database, answer.id, "Last words")
    await kill(runs, database, answer)
    reader = Runs(database, None)
    answer = (await shown(reader, owner_id, conversation_id))[-1]
    assert (answer.status, answer.text) == (Status.INTERRUPTED, "Last words")


async def test_a_process_that_lost_its_answer_does_not_write_it_any_more(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    gate = asyncio.Event()
    model.script = ["Mine", gate, " and more"]
    conversation_id, answer = await begin(runs, owner_id)
    await until_saved(database, answer.id, "Mine")
    async with database.writer() as session:
        await session.execute(update(Message).where(col(Message.id) == answer.id).values(worker="another"))
    async with asyncio.timeout(BRIEFLY):
        await model.stopped.wait()
    gate.set()
    assert (await shown(runs, owner_id, conversation_id))[-1].status == Status.STREAMING


async def test_answers_of_dead_processes_keep_nobody_from_asking(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    model.script = [asyncio.Event()]
    for _ in range(MOST_RUNNING):
        _, answer = await begin(runs, owner_id)
        await kill(runs, database, answer)
    model.script = ["An answer."]
    restarted = Runs(database, model)
    _, answer = await begin(restarted, owner_id)
    assert (await ended(restarted, answer)).status == Status.DONE


async def test_an_answer_of_this_process_is_alive_however_late_its_lease(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    gate = asyncio.Event()
    model.script = ["Still ", gate, "here."]
    conversation_id, answer = await begin(runs, owner_id)
    await until_saved(database, answer.id, "Still ")
    await set_values(database, answer, lease_until=utc_now() - timedelta(minutes=1))
    assert (await shown(runs, owner_id, conversation_id))[-1].status == Status.STREAMING
    gate.set()
    assert (await ended(runs, answer)).text == "Still here."


async def test_a_lease_that_is_renewed_in_the_last_moment_keeps_the_answer(
    runs: Runs, owner_id: int, model: Scripted, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.script = ["Saved", asyncio.Event()]
    conversation_id, answer = await begin(runs, owner_id)
    await until_saved(database, answer.id, "Saved")
    await kill(runs, database, answer)
    writer = database.writer

    @asynccontextmanager
    async def renewed_just_before() -> AsyncIterator[AsyncSession]:
        monkeypatch.undo()
        await set_values(database, answer, lease_until=utc_now() + timedelta(minutes=1))
        async with writer() as session:
            yield session

    monkeypatch.setattr(database, "writer", renewed_just_before)
    assert not await record.interrupt_expired(database, [conversation_id])
    progress = (await record.read(database, {answer.id: -1}))[answer.id]
    assert (progress.message.status, progress.text) == (Status.STREAMING, "Saved")


async def test_a_process_that_closes_does_not_wait_for_a_database_that_is_away(
    runs: Runs, owner_id: int, model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.script = ["So far", asyncio.Event()]
    _, answer = await begin(runs, owner_id)
    stuck = asyncio.Event()

    async def finish(*arguments: Any) -> dict[int, Message | None]:
        await stuck.wait()
        return await original(*arguments)

    original = record.finish
    monkeypatch.setattr(record, "finish", finish)
    monkeypatch.setattr("app.chat.runs.CLOSE_WITHIN", 0.05)
    async with asyncio.timeout(BRIEFLY), runs.view(answer) as live:
        await runs.close()
        async for _ in live.growth(0):
            pass
    stuck.set()


async def test_a_page_that_is_opened_again_at_another_process_gets_no_block_twice(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    gate = asyncio.Event()
    model.script = ["One.\n\nTwo.\n\nThree.\n\n", gate, "Four."]
    _, answer = await begin(runs, owner_id)
    await until_saved(database, answer.id, "One.\n\nTwo.\n\nThree.\n\n")
    sibling = Runs(database, None)

    async def article(_: Message) -> str:
        return ""

    async with sibling.view(answer) as live, asyncio.timeout(BRIEFLY):
        gate.set()
        offset = len("One.\n\nTwo.\n\nThree.\n\n")
        sent = [str(event.raw_data) async for event in html_events(live, offset, article)]
    assert "Four." in "".join(sent)
    assert "One." not in "".join(sent)
