"""Tasks that a part of the site has begun give back what they hold before the site goes on to end."""

import asyncio
from unittest.mock import AsyncMock

import pytest

from opportune.db import Database
from opportune.llm.answers import store
from opportune.llm.answers.follower import AnswerFollower
from opportune.llm.answers.models import Answer, AnswerStatus
from opportune.llm.spending import switch
from opportune.llm.spending.switch import Switch
from opportune.runtime import tasks
from opportune.runtime.tasks import cancel_and_wait

TIMEOUT_SECONDS = 10.0


class Held:
    """Work that begins, waits, and takes some turns of the loop to give back what it holds."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.is_given_back = False

    async def __call__(self, *_: object) -> object:
        self.begun.set()
        try:
            return await asyncio.Event().wait()
        finally:
            for _turn in range(5):
                await asyncio.sleep(0)
            self.is_given_back = True


@pytest.fixture
async def held() -> Held:
    return Held()


async def begun(held: Held) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await held.begun.wait()


async def test_what_is_cancelled_has_given_back_what_it_holds(held: Held) -> None:
    task = asyncio.create_task(held())
    await begun(held)
    await cancel_and_wait(None, task)
    assert task.cancelled()
    assert held.is_given_back


async def test_what_is_at_its_end_is_not_interrupted_by_a_second_time(held: Held) -> None:
    task = asyncio.create_task(held())
    await begun(held)
    task.cancel()
    await asyncio.sleep(0)
    await cancel_and_wait(task)
    assert held.is_given_back


async def test_what_does_not_end_is_left_and_what_raises_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MAX_WAIT_SECONDS", 0.01)
    released = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await released.wait()

    async def fails() -> None:
        raise ValueError("it is away")

    stays, failed = asyncio.create_task(stubborn()), asyncio.create_task(fails())
    await asyncio.sleep(0)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await cancel_and_wait(stays, failed)
        assert not stays.done()
        released.set()
        await asyncio.wait([stays])
    assert isinstance(failed.exception(), ValueError)


async def test_nothing_to_end_is_no_mistake() -> None:
    await cancel_and_wait()
    await cancel_and_wait(None)


@pytest.mark.database("sqlite")
async def test_a_follower_of_answers_closes_when_its_look_is_over(
    database: Database, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "read", held)
    follower = AnswerFollower(database, AsyncMock())
    async with follower.follow(Answer(id=1, status=AnswerStatus.STREAMING)) as live:
        await begun(held)
        await follower.close()
        assert held.is_given_back
        assert [text async for text in live.growth(0)] == []


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("has_left", [False, True])
async def test_switch_closes_after_its_query(
    database: Database, held: Held, monkeypatch: pytest.MonkeyPatch, *, has_left: bool
) -> None:
    monkeypatch.setattr(switch, "CHECK_INTERVAL_SECONDS", 0)
    monkeypatch.setattr(database, "lookup", held)
    looks = Switch(database)
    looks.watch(lambda: None)
    await begun(held)
    if has_left:  # as it does with each call that is the last
        looks.unwatch()
    await looks.close()
    assert held.is_given_back


@pytest.mark.database("sqlite")
async def test_unwatched_switch_is_watched_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch, "CHECK_INTERVAL_SECONDS", 0)
    looks, found = Switch(database), asyncio.Event()
    monkeypatch.setattr(database, "lookup", AsyncMock(return_value="off"))
    looks.watch(lambda: None)
    looks.unwatch()
    looks.watch(found.set)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await found.wait()
    await looks.close()
