"""Switch with which superusers stop all calls of models."""

import asyncio
from collections.abc import Callable
from time import monotonic

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.answers.engine.store import TRANSIENT_ERRORS, can_recover
from opportune.contrib.answers.spending.models import OFF, LlmState
from opportune.contrib.llm.call_guard import SpendingRefused
from opportune.db import Database
from opportune.i18n import gettext_lazy as _l
from opportune.services.tasks import cancel_and_wait

CHECK_INTERVAL_SECONDS = 2.0
"""Maximum delay until all processes stop running calls and refuse new ones."""
RETRY_AFTER_SECONDS = 60.0
"""Retry-After of a refusal."""
OFF_MESSAGE = _l("Answers of language models are switched off for now. Try again later.")

_IS_OFF = select(col(LlmState.key)).where(col(LlmState.key) == OFF)


def switched_off_error() -> SpendingRefused:
    return SpendingRefused("switched_off", OFF_MESSAGE, RETRY_AFTER_SECONDS)


async def switch_off(session: AsyncSession, by: str) -> bool:
    """Refuse all calls of models after the session's commit. Return False if they already are.

    `by` is the e-mail of the superuser, shown in the admin.
    """
    if await session.get(LlmState, OFF):
        return False
    session.add(LlmState(key=OFF, said=by[:500]))
    return True


async def switch_on(session: AsyncSession) -> bool:
    """Allow calls of models. Return False if they already are."""
    deleted = await session.execute(delete(LlmState).where(col(LlmState.key) == OFF).returning(col(LlmState.key)))
    return deleted.first() is not None


async def read_switch(session: AsyncSession) -> LlmState | None:
    """Return the time and user of switching off; None if answers are on."""
    return await session.get(LlmState, OFF)


class Switch:
    """State of the switch in this process. Without running calls, it sends no queries."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_off = False
        self._checked_at = -CHECK_INTERVAL_SECONDS
        self._task: asyncio.Task[None] | None = None

    def update(self, *, is_off: bool) -> None:
        self.is_off = is_off
        self._checked_at = monotonic()

    @property
    def is_fresh(self) -> bool:
        return monotonic() - self._checked_at < CHECK_INTERVAL_SECONDS

    async def read(self) -> bool:
        """Return True if answers are off. During a database outage, return the last known state."""
        try:
            self.update(is_off=await self._database.lookup(_IS_OFF, {}) is not None)
        except TRANSIENT_ERRORS as fault:
            if not can_recover(fault):
                raise
        return self.is_off

    async def require_on(self) -> None:
        """Raise SpendingRefused if answers are switched off."""
        if not self.is_fresh:
            await self.read()
        if self.is_off:
            raise switched_off_error()

    def watch(self, stop_calls: Callable[[], None]) -> None:
        """Poll the switch until `unwatch`, and call `stop_calls` while it is off."""
        if self._task is None or self._task.done() or self._task.cancelling():
            self._task = asyncio.create_task(self._watch(stop_calls), name="watch the switch")

    def unwatch(self) -> None:
        if self._task:
            self._task.cancel()

    async def close(self) -> None:
        await cancel_and_wait(self._task)

    async def _watch(self, stop_calls: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(CHECK_INTERVAL_SECONDS)
            if await self.read():
                stop_calls()
