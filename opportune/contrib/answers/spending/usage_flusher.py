"""Task that writes the usage of ended calls, collected for a short time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from opportune.contrib.answers.engine.store import TRANSIENT_ERRORS
from opportune.contrib.answers.spending.ledger import UsageKey, add_usage
from opportune.contrib.llm.completion.usage import TokenUsage
from opportune.db import Database
from opportune.services.tasks import MAX_WAIT_SECONDS, cancel_and_wait

logger = logging.getLogger(__name__)

FLUSH_INTERVAL_SECONDS = 0.25
"""Seconds for which usage is collected. A crash loses at most the usage of this time."""
RETRY_DELAY_SECONDS = 3.0
"""Seconds between attempts during a database outage."""


class UsageFlusher:
    """Collects usage and writes it in a background task, which runs only if there is something to write."""

    def __init__(self, database: Database, after_flush: Callable[[], Awaitable[None]]) -> None:
        self._database = database
        self._after_flush = after_flush
        self._is_due = False
        self._pending_usage: dict[UsageKey, TokenUsage] = {}
        self._ended_reservations: set[int] = set()
        self._flush_lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def add(self, key: UsageKey, usage: TokenUsage, reservation_id: int | None) -> None:
        """Add the usage of an ended call and the id of its reservation."""
        if usage.calls:
            self._pending_usage.setdefault(key, TokenUsage()).add(usage)
        if reservation_id is not None:
            self._ended_reservations.add(reservation_id)
        if self._pending_usage or self._ended_reservations:
            self.schedule()

    def schedule(self) -> None:
        """Flush after a short delay."""
        self._is_due = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush_soon(), name="count tokens")

    async def _flush_soon(self) -> None:
        delay = FLUSH_INTERVAL_SECONDS
        while self._is_due:
            await asyncio.sleep(delay)
            try:
                await self.flush()
            except TRANSIENT_ERRORS as fault:
                logger.warning("the usage of models is not stored yet (%s)", type(fault).__name__)
                self._is_due = True
                delay = RETRY_DELAY_SECONDS

    async def flush(self) -> None:
        """Write the collected usage. If the database raises an error, keep the usage for the next flush."""
        async with self._flush_lock:
            pending_usage, reservations = self._pending_usage, self._ended_reservations
            self._pending_usage = {}
            self._ended_reservations = set()
            self._is_due = False
            try:
                if pending_usage or reservations:
                    await add_usage(self._database, pending_usage, reservations)
            except BaseException:
                for key, usage in pending_usage.items():
                    self._pending_usage.setdefault(key, TokenUsage()).add(usage)
                self._ended_reservations |= reservations
                raise
            await self._after_flush()

    async def close(self) -> None:
        with suppress(TimeoutError):  # a cancelled flush may be committed, and would be repeated
            async with asyncio.timeout(MAX_WAIT_SECONDS), self._flush_lock:
                pass
        await cancel_and_wait(self._task)
        try:
            await self.flush()
        except TRANSIENT_ERRORS as fault:
            logger.warning("the usage of models is not stored (%s)", type(fault).__name__)
