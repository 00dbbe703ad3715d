"""Many parallel answers: saved together, and isolated from each other's errors."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from opportune.accounts import User
from opportune.contrib import llm
from opportune.contrib.answers import Answer, AnswerManager, AnswerStatus
from opportune.contrib.answers.engine import flusher, results, store
from opportune.contrib.answers.engine.capacity import MAX_RUNNING_ANSWERS
from opportune.contrib.answers.engine.records import AnswerResult, Claim, Outcome
from opportune.contrib.llm import FakeProvider
from opportune.db import Database
from opportune.db.listeners import listening
from tests.opportune.contrib.answers.questions import (
    TIMEOUT_SECONDS,
    ask,
    load_answer,
    wait_until_ended,
    wait_until_saved,
)
from tests.opportune.stored_rows import add_rows, read_one

ANSWER_COUNT = 12

# Reasons for a database to reject a text: a constraint, a limit, an unsupported character.
REFUSING_TRIGGERS = {
    "sqlite": ["CREATE TRIGGER refuse BEFORE {} WHEN NEW.text LIKE '%poison%' BEGIN SELECT RAISE(ABORT, 'no'); END"],
    "postgresql": [
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$",
        "CREATE TRIGGER refuse BEFORE {} FOR EACH ROW WHEN (NEW.text LIKE '%poison%') EXECUTE FUNCTION refuse()",
    ],
}


class Parrot(FakeProvider):
    """Repeats the question twice, with a gate before each."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = [asyncio.Event(), asyncio.Event()]

    async def stream(self, messages: Sequence[llm.Message], **_: Any) -> AsyncGenerator[llm.Chunk, None]:
        for gate in self.gates:
            await gate.wait()
            yield f"{messages[-1].content.strip()} "
        yield llm.Done()


@pytest.fixture
def model() -> Parrot:
    return Parrot()


async def ask_all(manager: AnswerManager, questions: Sequence[str]) -> list[Answer]:
    answers = list[Answer]()
    for number, question in enumerate(questions):
        if number % MAX_RUNNING_ANSWERS == 0:
            async with manager.database.writer() as session:
                session.add(user := User(email=f"asker{number}@example.com", hashed_password="none"))
        answers.append(await ask(manager, user.id, question))
    return answers


async def refuse_poison(database: Database, change: str) -> None:
    async with database.writer() as session:
        for statement in REFUSING_TRIGGERS[database.url.kind]:
            await session.execute(text(statement.format(change)))


@contextmanager
def count_connections(database: Database, event_name: str) -> Iterator[list[int]]:
    """Count the connections in use at each of these events of the writing engine."""
    engine, counts = database.engine.sync_engine, list[int]()

    def note(*_: object) -> None:
        counts.append(database.engine.pool.checkedout())  # type: ignore[attr-defined]  # of QueuePool

    with listening(engine, **{event_name: note}):
        yield counts


async def test_shared_transactions(manager: AnswerManager, model: Parrot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flusher, "FLUSH_INTERVAL_SECONDS", 0.25)  # as on a site; a busy machine needs more
    monkeypatch.setattr(flusher, "LEASE_RENEWAL_SECONDS", 30)
    answers = await ask_all(manager, ["A word. "] * ANSWER_COUNT)
    with count_connections(manager.database, "commit") as in_use:
        model.gates[0].set()
        for answer in answers:
            await wait_until_saved(manager, answer, "A word. ")
        model.gates[1].set()
        stored = [await wait_until_ended(manager, answer) for answer in answers]
    assert {(row.status, row.text) for row in stored} == {(AnswerStatus.DONE, "A word. A word. ")}
    assert len(in_use) < ANSWER_COUNT  # instead of one or two per answer
    assert max(in_use) == 1


@pytest.mark.database("sqlite", "postgresql")
async def test_rejected_delta_is_alone(manager: AnswerManager, model: Parrot, monkeypatch: pytest.MonkeyPatch) -> None:
    await refuse_poison(manager.database, "INSERT ON answers_chunk")
    *good, bad = await ask_all(manager, ["one ", "two ", "three ", "poison "])
    model.gates[0].set()
    for answer, word in zip(good, ["one ", "two ", "three "], strict=True):
        await wait_until_saved(manager, answer, word)
    monkeypatch.setattr(flusher, "SAVE_TIMEOUT_SECONDS", 0)
    assert (await wait_until_ended(manager, bad)).error_code == "database"
    model.gates[1].set()
    assert [(await wait_until_ended(manager, answer)).status for answer in good] == [AnswerStatus.DONE] * 3


async def test_rejected_end_is_alone(manager: AnswerManager, model: Parrot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.contrib.answers.engine.task.RETRY_DELAYS_SECONDS", (0,))
    await refuse_poison(manager.database, "UPDATE ON answers_answer")
    answers = await ask_all(manager, ["one ", "poison ", "three ", "four "])
    for gate in model.gates:
        gate.set()
    notified_ids = [(await wait_until_ended(manager, answer)).status for answer in answers]
    assert notified_ids == [AnswerStatus.DONE, AnswerStatus.FAILED, AnswerStatus.DONE, AnswerStatus.DONE]


@pytest.mark.database("postgresql")  # SQLite does not lock rows
async def test_locked_row_does_not_delay_other_answers(manager: AnswerManager, model: Parrot) -> None:
    held, free = await ask_all(manager, ["held ", "free "])
    async with manager.database.writer() as session:
        await session.execute(select(Answer).where(col(Answer.id) == held.id).with_for_update())
        model.gates[0].set()
        await wait_until_saved(manager, free, "free ")
    await wait_until_saved(manager, held, "held ")
    model.gates[1].set()
    assert (await wait_until_ended(manager, held)).text == "held held "


async def test_viewers_see_stored_text(manager: AnswerManager, model: Parrot, monkeypatch: pytest.MonkeyPatch) -> None:
    is_saving, may_save = asyncio.Event(), asyncio.Event()

    async def save(*arguments: Any, **options: Any) -> dict[int, Claim]:
        is_saving.set()
        await may_save.wait()
        return await original(*arguments, **options)

    original = store.save_deltas
    monkeypatch.setattr(store, "save_deltas", save)
    (answer,) = await ask_all(manager, ["word "])
    async with manager.view(answer) as live, asyncio.timeout(TIMEOUT_SECONDS):
        model.gates[0].set()
        await is_saving.wait()
        assert (live.text, (await load_answer(manager, answer)).text) == ("", "")
        may_save.set()
        growth = live.follow(0)
        assert (await anext(growth)).text == "word "
        model.gates[1].set()
        assert [new.text async for new in growth][-1] == "word "
    assert (live.answer.status, live.answer.text) == (AnswerStatus.DONE, "word word ")


async def test_stop_before_the_wait_keeps_the_usage(database: Database, user: User) -> None:
    await add_rows(database, answer := Answer(owner_id=user.id, worker="1", stop_requested=True))
    result = AnswerResult(answer.id, "", Outcome(AnswerStatus.WAITING), {"prompt_tokens": 10})
    await results.finish_answers(database, "1", [result])
    stopped = await read_one(database, Answer)
    assert (stopped.status, stopped.prompt_tokens) == (AnswerStatus.STOPPED, 10)
