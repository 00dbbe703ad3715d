"""A thread that renews the leases of running jobs while a job blocks the event loop, and reports that job."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from opportune.db.errors import explain
from opportune.jobs.execution import Attempt
from opportune.jobs.leases import LEASE_DURATION
from opportune.jobs.store import JobStore
from opportune.server.loop_monitor import LoopStack

LEASE_RENEWAL_SECONDS = LEASE_DURATION.total_seconds() / 3
"""Seconds between two renewals by the event loop."""
THREAD_RENEWAL_SECONDS = LEASE_DURATION.total_seconds() / 2
"""Seconds without a renewal after which the thread renews the leases."""
CHECK_INTERVAL_SECONDS = 1.0
"""Seconds between two checks, while jobs run."""
JOIN_TIMEOUT_SECONDS = 2.0

logger = logging.getLogger(__name__)


class LeaseKeeper:
    """Controls the thread of one worker. The thread sleeps while no job runs."""

    def __init__(self, store: JobStore, attempts: Mapping[int, Attempt]) -> None:
        self.renewed_at = time.monotonic()
        """Time of the last renewal of all leases, by `time.monotonic`."""
        self._store = store
        self._attempts = attempts
        self._has_jobs = threading.Event()
        self._is_stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._attempted_at = 0.0
        """Time of the last renewal by the thread, which may have failed."""
        self._reported: Attempt | None = None
        """The last job that was reported, because it blocks the event loop."""

    def start(self) -> None:
        """Watch the leases of the jobs of the running loop, until no job runs."""
        if self._thread is None:
            self._is_stopping.clear()
            loop = asyncio.get_running_loop()
            self._thread = threading.Thread(
                target=self._run, args=(loop, LoopStack(loop)), name="lease-keeper", daemon=True
            )
            self._thread.start()
        self._has_jobs.set()

    async def stop(self) -> None:
        """End the thread."""
        if self._thread:
            self._is_stopping.set()
            self._has_jobs.set()
            await asyncio.to_thread(self._thread.join, JOIN_TIMEOUT_SECONDS)
            self._thread = None

    def _run(self, loop: asyncio.AbstractEventLoop, stack: LoopStack) -> None:
        while self._has_jobs.wait() and not self._is_stopping.wait(CHECK_INTERVAL_SECONDS):
            self._has_jobs.clear()  # so that the thread sleeps, unless jobs still run or `start` is called again
            attempts = list(dict(self._attempts).values())  # a copy, because the worker changes the mapping
            if attempts:
                self._has_jobs.set()
                if self._is_renewal_overdue(attempts):
                    self._report_blocking_job(attempts, asyncio.current_task(loop), stack)
                    self._renew(attempts)

    def _is_renewal_overdue(self, attempts: Collection[Attempt]) -> bool:
        now = time.monotonic()
        first_start = min(attempt.started_at for attempt in attempts)
        is_overdue = now - max(self.renewed_at, first_start) >= THREAD_RENEWAL_SECONDS
        return is_overdue and now - self._attempted_at >= LEASE_RENEWAL_SECONDS / 2

    def _report_blocking_job(
        self, attempts: Collection[Attempt], task: asyncio.Task[Any] | None, stack: LoopStack
    ) -> None:
        """Log the job of the task that runs. Without a task, the database was slow, or the process was frozen."""
        blocking = next((attempt for attempt in attempts if task and attempt.task is task), None)
        if blocking is None or blocking is self._reported:
            return
        self._reported = blocking
        line = stack.find_blocking_line()
        logger.warning(
            "Job %s%s has blocked the event loop for %g s. Run blocking work in a thread with asyncio.to_thread "
            "(oppman.py docs async).",
            blocking.job,
            f" at {line}" if line else "",
            THREAD_RENEWAL_SECONDS,
        )

    def _renew(self, attempts: Collection[Attempt]) -> None:
        self._attempted_at = time.monotonic()
        try:
            self._store.renew_from_thread([attempt.job for attempt in attempts])
            self.renewed_at = self._attempted_at
        except (SQLAlchemyError, sqlite3.Error) as error:
            reason = explain(error, self._store.database.url)
            logger.warning("The leases of running jobs could not be renewed: %s", reason)
