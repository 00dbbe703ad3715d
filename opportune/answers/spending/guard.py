"""Counts every call of a model, whoever asks: one statement for all that have ended since the last time."""

import asyncio
import hmac
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from opportune.answers.settings import AnswersSettings
from opportune.answers.spending import ledger
from opportune.answers.spending.call import RunningCall
from opportune.answers.spending.ledger import UsageKey
from opportune.db import Database
from opportune.llm.guard import Guard, GuardedCall, Payer, TokenUsage
from opportune.llm.provider import Chunk
from opportune.settings import Settings
from opportune.signing import derived_key
from opportune.web.client import client_address
from opportune.web.time_zone import site_zone

logger = logging.getLogger(__name__)

FLUSH_INTERVAL_SECONDS = 0.25
"""Seconds for which usage is collected; a crash forgets no more of what has ended."""
RETRY_DELAY_SECONDS = 3.0
"""Seconds until it is tried again, while the database is away."""
TRANSIENT_ERRORS = (SQLAlchemyError, TimeoutError)


class SpendingGuard(Guard):
    """The guard of a process. Its sums are the database's, and so all processes'."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.own = settings.of(AnswersSettings)
        self.database = database
        self._zone = site_zone(settings)
        self._used: dict[UsageKey, TokenUsage] = {}
        self._flushing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def now(self) -> datetime:
        """The site's clock, whose days count."""
        return datetime.now(self._zone)

    def payer_of(self, request: Any) -> Payer:
        user = getattr(request.state, "user", None)
        if user is not None and user.email.lower() not in self.own.demo_emails:
            return Payer.of_user(user.id)
        secret = derived_key(self.settings, "answers: visitors").encode()
        return Payer("visitor", hmac.digest(secret, client_address(request).encode(), "sha256").hex()[:32])

    async def check(self, payer: Payer) -> None:
        pass

    async def watch(self, call: GuardedCall) -> AsyncGenerator[Chunk, None]:
        running = RunningCall(call, self.now().date())
        try:
            async with aclosing(call.chunks) as chunks:
                async for chunk in chunks:
                    running.note(chunk)
                    yield chunk
        except BaseException as error:
            running.note_end(error)
            raise
        finally:
            self._settle(running)

    def _settle(self, running: RunningCall) -> None:
        """Count a call that has ended; written down a moment later, with others."""
        usage = running.usage()
        if running.call.usage is not None:
            running.call.usage.add(usage)
        if usage.calls:
            key = UsageKey(running.day, running.call.payer, running.call.name)
            self._used.setdefault(key, TokenUsage()).add(usage)
            self._see_to_it()

    def _see_to_it(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush_soon(), name="count tokens")

    async def _flush_soon(self) -> None:
        delay = FLUSH_INTERVAL_SECONDS
        while self._used:
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
            used, self._used = self._used, {}
            try:
                if used:
                    await ledger.add(self.database, used)
            except BaseException:
                for key, usage in used.items():
                    self._used.setdefault(key, TokenUsage()).add(usage)
                raise

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        try:
            await self.flush()
        except TRANSIENT_ERRORS as fault:
            logger.warning("the usage of models is not stored (%s)", type(fault).__name__)
