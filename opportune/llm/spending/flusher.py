"""Writes down what was used: one transaction for all calls that have ended since the last time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from opportune.db import Database
from opportune.llm.answers.store import TRANSIENT_ERRORS
from opportune.llm.spending import ledger
from opportune.llm.spending.call_guard import TokenUsage
from opportune.llm.spending.ledger import UsageKey
from opportune.runtime.tasks import cancel_and_wait

logger = logging.getLogger(__name__)

FLUSH_INTERVAL_SECONDS = 0.25
"""Seconds for which usage is collected; a crash forgets no more of what has ended."""
RETRY_DELAY_SECONDS = 3.0
"""Seconds until it is tried again, while the database is away."""


class UsageFlusher:
    """One task while there is something to write, and none while there is not."""

    def __init__(self, database: Database, after: Callable[[], Awaitable[None]]) -> None:
        """`after` is awaited when something was written, or somebody was refused."""
        self._database = database
        self._after = after
        self._is_stirred = False
        self._used: dict[UsageKey, TokenUsage] = {}
        self._ended: set[int] = set()
        self._flushing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def add(self, key: UsageKey, usage: TokenUsage, reservation_id: int | None) -> None:
        """Take what a call has used, and what had been set aside for it."""
        if usage.calls:
            self._used.setdefault(key, TokenUsage()).add(usage)
        if reservation_id is not None:
            self._ended.add(reservation_id)
        if self._used or self._ended:
            self.stir()

    def stir(self) -> None:
        """Write down, or look, a moment later."""
        self._is_stirred = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush_soon(), name="count tokens")

    async def _flush_soon(self) -> None:
        delay = FLUSH_INTERVAL_SECONDS
        while self._is_stirred:
            await asyncio.sleep(delay)
            try:
                await self.flush()
            except TRANSIENT_ERRORS as fault:
                logger.warning("the usage of models is not stored yet (%s)", type(fault).__name__)
                delay = RETRY_DELAY_SECONDS

    async def flush(self) -> None:
        """Write down what has been used since the last time.

        Raises what the database does; then it is kept for the next time.
        """
        async with self._flushing:
            used, ended = self._used, self._ended
            self._used, self._ended, self._is_stirred = {}, set(), False
            try:
                if used or ended:
                    await ledger.add(self._database, used, ended)
            except BaseException:
                for key, usage in used.items():
                    self._used.setdefault(key, TokenUsage()).add(usage)
                self._ended |= ended
                self._is_stirred = True
                raise
            await self._after()

    async def close(self) -> None:
        await cancel_and_wait(self._task)
        try:
            await self.flush()
        except TRANSIENT_ERRORS as fault:
            logger.warning("the usage of models is not stored (%s)", type(fault).__name__)
