"""Many parallel answers: saved together, and isolated from each other's errors."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts import User
from opportune.contrib import llm
from opportune.contrib.answers.engine import flusher, follower, records, store
from opportune.contrib.answers.engine.capacity import MAX_RUNNING_ANSWERS
from opportune.contrib.answers.engine.flusher import AnswerFlusher, UnsavedAnswer
from opportune.contrib.answers.engine.live import LiveAnswer
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.answers.engine.records import AnswerDelta, AnswerProgress, Claim
from opportune.contrib.answers.models import Answer, AnswerStatus
from opportune.contrib.answers.testing import create_manager
from opportune.contrib.llm import FakeProvider, LanguageModel
from opportune.db import Database, after_update
from opportune.db.hooks.registry import temporary_hooks
from opportune.db.listeners import listening
from tests.opportune.contrib.answers.questions import (
    TIMEOUT_SECONDS,
    ask,
    kill_process,
    load_answer,
    read_to_end,
    wait_until_ended,
    wait_until_saved,
)

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

    async def stream(
        self, messages: Sequence[llm.Message], *, temperature: float | None = None
    ) -> AsyncGenerator[llm.Chunk, None]:
        for gate in self.gates:
            await gate.wait()
            yield f"{messages[-1].content.strip()} "
        yield llm.Done()


@pytest.fixture
def model() -> Parrot:
    return Parrot()


async def ask_all(manager: AnswerManager, questions: Sequence[str]) -> list[Answer]:
    """Ask questions for several users, within the limit per user."""
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


async def test_many_answers_share_transactions(
    manager: AnswerManager, model: Parrot, monkeypatch: pytest.MonkeyPatch
) -> None:
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


@pytest.mark.parametrize("runs_hooks", [True, False])
async def test_hundreds_of_ends_share_a_transaction(
    database: Database, monkeypatch: pytest.MonkeyPatch, *, runs_hooks: bool
) -> None:
    monkeypatch.setattr(store, "MAX_RESULTS_PER_STATEMENT", 5)
    async with database.writer() as session:
        session.add_all(answers := [Answer(worker="this") for _ in range(ANSWER_COUNT)])
    results = [
        records.AnswerResult(answer.id, f"Text of {answer.id}", records.STOPPED, runs_hooks=runs_hooks)
        for answer in answers
    ]
    notified_ids, rows_per_statement = list[int](), list[int]()

    def record_statement(_: object, __: object, statement: str, parameters: Any, *rest: object) -> None:
        if statement.startswith("UPDATE answers_answer"):
            rows_per_statement.append(len(parameters) if rest[-1] else 1)

    event.listen(database.engine.sync_engine, "before_cursor_execute", record_statement)
    with temporary_hooks(), count_connections(database, "commit") as commits:

        @after_update(Answer)
        async def note(_session: AsyncSession, answer: Answer) -> None:
            notified_ids.append(answer.id)

        stored = await store.finish_answers(database, "this", [*results, records.AnswerResult(0, "", records.STOPPED)])
    assert (sum(rows_per_statement), max(rows_per_statement)) == (ANSWER_COUNT, store.MAX_RESULTS_PER_STATEMENT)
    assert len(commits) == 1
    assert sorted(notified_ids) == ([answer.id for answer in answers] if runs_hooks else [])
    assert stored.pop(0) is None  # deleted
    assert {id_: answer and (answer.status, answer.text) for id_, answer in stored.items()} == {
        result.answer_id: (AnswerStatus.STOPPED, result.text) for result in results
    }


@pytest.mark.database("sqlite", "postgresql")
async def test_rejected_delta_does_not_affect_other_answers(
    manager: AnswerManager, model: Parrot, monkeypatch: pytest.MonkeyPatch
) -> None:
    await refuse_poison(manager.database, "INSERT ON answers_chunk")
    *good, bad = await ask_all(manager, ["one ", "two ", "three ", "poison "])
    model.gates[0].set()
    for answer, word in zip(good, ["one ", "two ", "three "], strict=True):
        await wait_until_saved(manager, answer, word)
    monkeypatch.setattr(flusher, "SAVE_TIMEOUT_SECONDS", 0)
    assert (await wait_until_ended(manager, bad)).error_code == "database"
    model.gates[1].set()
    assert [(await wait_until_ended(manager, answer)).status for answer in good] == [AnswerStatus.DONE] * 3


async def test_rejected_end_does_not_affect_other_answers(
    manager: AnswerManager, model: Parrot, monkeypatch: pytest.MonkeyPatch
) -> None:
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


async def test_viewers_see_only_what_is_stored(
    manager: AnswerManager, model: Parrot, monkeypatch: pytest.MonkeyPatch
) -> None:
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


async def test_first_text_and_viewed_text_are_saved_soon(
    manager: AnswerManager, model: Parrot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flusher, "FLUSH_INTERVAL_SECONDS", 60)
    monkeypatch.setattr(flusher, "LEASE_RENEWAL_SECONDS", 60)
    model.gates.append(asyncio.Event())
    (answer,) = await ask_all(manager, ["word "])
    model.gates[0].set()
    await wait_until_saved(manager, answer, "word ")
    async with manager.view(answer):
        model.gates[1].set()
        await wait_until_saved(manager, answer, "word word ")


async def test_idle_flusher_runs_no_task(manager: AnswerManager, model: Parrot) -> None:
    for gate in model.gates:
        gate.set()
    for answer in await ask_all(manager, ["word "] * 3):
        await wait_until_ended(manager, answer)
    answer_tasks = [task for task in asyncio.all_tasks() if task.get_name() in {"flush answers", "follow answers"}]
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await asyncio.gather(*answer_tasks)


async def test_one_query_polls_all_followed_answers(
    manager: AnswerManager, model: Parrot, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = list[int]()

    async def read(database: Database, after: dict[int, int]) -> dict[int, records.AnswerProgress]:
        reads.append(len(after))
        return await original(database, after)

    monkeypatch.setattr(follower, "POLL_INTERVAL_SECONDS", 0.25)  # as on a site
    answers = await ask_all(manager, ["word "] * ANSWER_COUNT)
    original = store.read_progress
    monkeypatch.setattr(store, "read_progress", read)
    sibling = create_manager(database, LanguageModel(lambda: None))
    async with AsyncExitStack() as stack:
        lives = [await stack.enter_async_context(sibling.view(answer)) for answer in answers]
        for gate in model.gates:
            gate.set()
        for live in lives:
            await read_to_end(live)
    assert {(live.answer.status, live.text) for live in lives} == {(AnswerStatus.DONE, "word word ")}
    assert max(reads) == ANSWER_COUNT
    assert len(reads) < ANSWER_COUNT


async def test_follower_ends_answers_of_dead_process(manager: AnswerManager, owner_id: int, model: Parrot) -> None:
    model.gates[0].set()
    answer = await ask(manager, owner_id, "word ")
    await wait_until_saved(manager, answer, "word ")
    sibling = create_manager(manager.database, LanguageModel(lambda: None))
    async with sibling.view(answer) as live, asyncio.timeout(TIMEOUT_SECONDS):
        growth = live.follow(0)
        assert (await anext(growth)).text == "word "
        await kill_process(manager, answer)
        async for _ in growth:
            pass
    assert (live.answer.status, live.answer.text) == (AnswerStatus.INTERRUPTED, "word ")
    assert (await load_answer(sibling, answer)).status == AnswerStatus.INTERRUPTED


async def test_viewers_of_few_answers_wake_per_iteration(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    lives = [LiveAnswer(AnswerProgress.from_answer(Answer(id=number))) for number in range(3 * ANSWER_COUNT)]

    async def save(_database: Database, _worker: str, deltas: Sequence[AnswerDelta], **_: bool) -> dict[int, Claim]:
        return {delta.answer_id: Claim.OWNED for delta in deltas}

    monkeypatch.setattr(store, "save_deltas", save)
    answer_flusher, grown = AnswerFlusher(database, "worker"), list[int]()
    with ExitStack() as stack:
        for live in lives:
            unsaved = UnsavedAnswer(live, cut=lambda _: None)
            unsaved.add("Words")
            stack.enter_context(answer_flusher.saving(unsaved))
        answer_flusher.plan_save()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not grown or grown[-1] < len(lives):
                await asyncio.sleep(0)
                grown.append(sum(bool(live.text) for live in lives))
    assert max(after - before for before, after in pairwise(grown)) == flusher.NOTIFIED_ANSWERS_PER_ITERATION
