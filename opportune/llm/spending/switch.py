"""Answers are off or on, for all processes: a row that each looks at while it has calls that run."""

import asyncio
from collections.abc import Callable
from time import monotonic

from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db import Database, is_outage
from opportune.llm.spending.call_guard import SpendingRefused
from opportune.llm.spending.models import OFF, LlmState
from opportune.runtime.tasks import cancel_and_wait

LOOK_INTERVAL_SECONDS = 2.0
"""Seconds after which it is known to all: what runs is stopped, and nothing begins."""
RETRY_AFTER_SECONDS = 60.0
"""Seconds after which programs may ask whether it is on again."""
OFF_WORDS = "Answers of language models are switched off for now. Try again later."

_IS_OFF = select(col(LlmState.key)).where(col(LlmState.key) == OFF)


def refusal() -> SpendingRefused:
    return SpendingRefused("switched_off", OFF_WORDS, RETRY_AFTER_SECONDS)


async def switch_off(session: AsyncSession, said: str) -> bool:
    """Have no model asked from this writing session's commit on; False where that is so already. `said`: by whom."""
    if await session.get(LlmState, OFF):
        return False
    session.add(LlmState(key=OFF, said=said[:500]))
    return True


async def switch_on(session: AsyncSession) -> bool:
    """Have models asked again; False where they are."""
    found = await session.execute(delete(LlmState).where(col(LlmState.key) == OFF).returning(col(LlmState.key)))
    return found.first() is not None


async def read_switch(session: AsyncSession) -> LlmState | None:
    """Since when and by whom they are off; None where they are on."""
    return await session.get(LlmState, OFF)


class Switch:
    """What this process knows of it; nothing is asked of the database where no call runs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_off = False
        self._looked_at = -LOOK_INTERVAL_SECONDS
        self._task: asyncio.Task[None] | None = None

    def note(self, *, is_off: bool) -> None:
        self.is_off, self._looked_at = is_off, monotonic()

    @property
    def is_known(self) -> bool:
        return monotonic() - self._looked_at < LOOK_INTERVAL_SECONDS

    async def look(self) -> bool:
        """Whether they are off: as far as it is known, while the database is away."""
        try:
            self.note(is_off=await self._database.lookup(_IS_OFF, {}) is not None)
        except (SQLAlchemyError, TimeoutError) as fault:
            if not (isinstance(fault, TimeoutError) or is_outage(fault)):
                raise
        return self.is_off

    async def require_on(self) -> None:
        """Raises SpendingRefused."""
        if self.is_off if self.is_known else await self.look():
            raise refusal()

    def watch(self, cut: Callable[[], None]) -> None:
        """Look now and then, and call that each time they are found to be off, until `leave`."""
        if self._task is None or self._task.done() or self._task.cancelling():
            self._task = asyncio.create_task(self._watch(cut), name="watch the switch")

    def leave(self) -> None:
        if self._task:
            self._task.cancel()

    async def close(self) -> None:
        await cancel_and_wait(self._task)

    async def _watch(self, cut: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(LOOK_INTERVAL_SECONDS)
            if await self.look():
                cut()
