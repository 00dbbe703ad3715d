import asyncio
from collections.abc import AsyncIterator

import pytest

from app.core.db.waiting import within


class Stubborn:
    """Work that does not end when it is cancelled, and has a result all the same."""

    def __init__(self) -> None:
        self.begun, self.cancelled, self.end, self.undone = (asyncio.Event() for _ in range(4))

    async def work(self) -> str:
        self.begun.set()
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            await self.end.wait()
        return "late"

    async def undo(self, result: str) -> None:
        assert result == "late"
        self.undone.set()


@pytest.fixture
async def stubborn() -> AsyncIterator[Stubborn]:
    stubborn = Stubborn()
    yield stubborn
    async with asyncio.timeout(10):
        await stubborn.cancelled.wait()
        stubborn.end.set()
        await stubborn.undone.wait()


async def test_work_in_time_gives_its_result_or_its_error() -> None:
    async def fail() -> None:
        raise ValueError("of the work")

    assert await within(10, asyncio.sleep(0, "result")) == "result"
    with pytest.raises(ValueError, match="of the work"):
        await within(10, fail())


async def test_late_work_is_left_behind_and_its_result_undone(stubborn: Stubborn) -> None:
    with pytest.raises(TimeoutError):
        await within(0, stubborn.work(), stubborn.undo)


async def test_work_that_nobody_waits_for_any_more_is_left_behind_too(stubborn: Stubborn) -> None:
    waiting = asyncio.create_task(within(10, stubborn.work(), stubborn.undo))
    await stubborn.begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
