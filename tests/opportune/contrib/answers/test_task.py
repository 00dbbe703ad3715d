"""A running answer: saved, stopped and ended, also during outages of the database."""

import asyncio
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from sqlalchemy.exc import InternalError, OperationalError

from opportune.accounts.models import User
from opportune.contrib.answers import Answer, AnswerManager, AnswerStatus
from opportune.contrib.answers.engine import flusher, results, store, task
from opportune.contrib.answers.engine.records import STOPPED, Claim
from opportune.contrib.llm import FakeProvider
from opportune.errors import OperatorError
from tests.opportune.contrib.answers import questions
from tests.opportune.stored_rows import change_row, set_all
from tests.opportune.waiting import wait_until


async def test_no_session_is_held_while_the_model_thinks(manager: AnswerManager, owner_id: int) -> None:
    gate = asyncio.Event()
    answer = await questions.start_answer(manager, owner_id, "x", gate)
    engines = manager.database.engine, manager.database.reading_engine
    await wait_until(lambda: not any(engine.pool.checkedout() for engine in engines))  # type: ignore[attr-defined]  # of QueuePool
    gate.set()
    await questions.wait_until_ended(manager, answer)


async def test_deactivated_user_gets_no_answer(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    await set_all(manager.database, User, is_active=False)
    assert (await questions.ask_and_wait(manager, owner_id)).error_code == "inactive"
    assert model.received == []


@pytest.mark.parametrize("deactivates", [False, True], ids=["stop", "deactivation"])
async def test_stop_keeps_text_and_closes_the_model(
    manager: AnswerManager, owner_id: int, model: FakeProvider, *, deactivates: bool
) -> None:
    model.script = ["So far", asyncio.Event(), "never"]
    answer = await questions.ask(manager, owner_id)
    async with manager.view(answer) as live, asyncio.timeout(questions.TIMEOUT_SECONDS):
        await anext(live.follow(0))
    if deactivates:
        await change_row(manager.database, User, owner_id, is_active=False)
        await questions.wait_until_ended(manager, answer)
    else:
        await manager.stop(answer)
    assert model.stopped.is_set()
    answer = await questions.load_answer(manager, answer)
    assert (answer.status, answer.text) == (AnswerStatus.STOPPED, "So far")


@pytest.mark.parametrize(("failed_attempts", "is_outage"), [(2, False), (8, True)])
async def test_end_of_an_answer_survives_an_outage(
    manager: AnswerManager, owner_id: int, monkeypatch: pytest.MonkeyPatch, failed_attempts: int, *, is_outage: bool
) -> None:
    """A reachable database gets two more attempts, one that is away is awaited for minutes."""
    failures = iter([True] * failed_attempts)

    async def finish(*arguments: Any) -> dict[int, Answer | None]:
        if next(failures, False):
            raise OperationalError("select 1", {}, Exception("connection refused"))
        return await original(*arguments)

    original = results.finish_answers
    monkeypatch.setattr(results, "finish_answers", finish)
    monkeypatch.setattr(task, "can_recover", lambda _: is_outage)
    monkeypatch.setattr(task, "RETRY_DELAYS_SECONDS", (0, 0))
    monkeypatch.setattr(task, "OUTAGE_RETRY_DELAY_SECONDS", 0)
    stored = await questions.ask_and_wait(manager, owner_id)
    assert (stored.status, stored.text) == (AnswerStatus.DONE, "An answer.")
    assert min(task.OUTAGE_TIMEOUT_SECONDS, flusher.SAVE_TIMEOUT_SECONDS) >= 600


async def test_stop_right_after_the_start_is_stored(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    model.script = [asyncio.Event()]
    answer = await questions.ask(manager, owner_id)
    running = manager.engine
    writing = running.tasks[answer.id].task
    running.cut(answer.id, STOPPED)  # before the task runs for the first time
    await writing
    assert (await questions.load_answer(manager, answer)).status == AnswerStatus.STOPPED
    assert not running.tasks


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize("is_stored", [True, False])
async def test_failed_save_is_repeated(
    manager: AnswerManager, owner_id: int, model: FakeProvider, monkeypatch: pytest.MonkeyPatch, *, is_stored: bool
) -> None:
    """Perhaps only the database's response was lost. More text arrives during the save."""
    attempts: list[object] = []

    async def save(*arguments: Any, **options: Any) -> dict[int, Claim]:
        attempts.append(arguments[-1])
        if len(attempts) > 1:
            return await original(*arguments, **options)
        if is_stored:
            await original(*arguments, **options)
        gate.set()
        await wait_until(lambda: next(iter(manager.engine.tasks.values())).unsaved.text == "One, two.")
        raise OperationalError("commit", {}, Exception("connection lost"))

    original = store.save_deltas
    monkeypatch.setattr(store, "save_deltas", save)
    monkeypatch.setattr(flusher, "LEASE_RENEWAL_SECONDS", 60)
    gate, end = asyncio.Event(), asyncio.Event()
    model.script = ["One, ", gate, "two.", end]
    answer = await questions.ask(manager, owner_id)
    await questions.wait_until_saved(manager, answer, "One, two.")
    end.set()
    assert (await questions.wait_until_ended(manager, answer)).text == "One, two."


async def test_unstored_end_is_shown(manager: AnswerManager, owner_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = InternalError("update", {}, Exception("read-only"))
    monkeypatch.setattr(results, "finish_answers", AsyncMock(side_effect=fault))
    monkeypatch.setattr(task, "RETRY_DELAYS_SECONDS", (0,))
    assert (await questions.ask_and_wait(manager, owner_id)).error_code == "database"


async def test_invalid_tool_ends_the_answer(manager: AnswerManager, owner_id: int) -> None:
    manager.engine.resources.make_toolbox = Mock(side_effect=OperatorError("There are two tools look."))
    assert (await questions.ask_and_wait(manager, owner_id, tools=True)).error_code == "internal"
