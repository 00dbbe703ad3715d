"""A thread that renews the leases of running jobs while a job blocks the event loop, and reports that job."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Collection, Mapping

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
BLOCKED_AFTER_CHECKS = 5
"""Missed checks until a loop counts as blocked. A count ignores time in which the process was frozen."""
REPORTED_AFTER_CHECKS = 60
"""Missed checks until a loop that is still blocked is reported."""
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

    def start(self) -> None:
        """Watch the running loop and the leases of its jobs, until no job runs."""
        if self._thread is None:
            self._is_stopping.clear()
            watch = LoopWatch(asyncio.get_running_loop())
            self._thread = threading.Thread(target=self._run, args=(watch,), name="lease-keeper", daemon=True)
            self._thread.start()
        self._has_jobs.set()

    async def stop(self) -> None:
        """End the thread."""
        if self._thread:
            self._is_stopping.set()
            self._has_jobs.set()
            await asyncio.to_thread(self._thread.join, JOIN_TIMEOUT_SECONDS)
            self._thread = None

    def _run(self, watch: "LoopWatch") -> None:
        while self._has_jobs.wait() and not self._is_stopping.wait(CHECK_INTERVAL_SECONDS):
            self._has_jobs.clear()  # so that the thread sleeps, unless jobs still run or `start` is called again
            attempts = list(dict(self._attempts).values())  # a copy, because the worker changes the mapping
            if attempts:
                self._has_jobs.set()
                self._renew_if_overdue(attempts)
            watch.check(attempts)

    def _renew_if_overdue(self, attempts: Collection[Attempt]) -> None:
        now = time.monotonic()
        first_start = min(attempt.started_at for attempt in attempts)
        is_overdue = now - max(self.renewed_at, first_start) >= THREAD_RENEWAL_SECONDS
        if not is_overdue or now - self._attempted_at < LEASE_RENEWAL_SECONDS / 2:
            return
        self._attempted_at = now
        try:
            self._store.renew_from_thread([attempt.job for attempt in attempts])
            self.renewed_at = now
        except (SQLAlchemyError, sqlite3.Error) as error:
            reason = explain(error, self._store.database.url)
            logger.warning("The leases of running jobs could not be renewed: %s", reason)


class LoopWatch:
    """Checks whether an event loop still runs callbacks. Create it in the loop's thread; call `check` in another."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._stack = LoopStack(loop)
        self._pinged_at = time.monotonic()
        self._responded_at: float | None = self._pinged_at
        """None while the loop has not responded to the last ping."""
        self._missed_checks = 0
        self._blocking_job = ""

    def check(self, attempts: Collection[Attempt]) -> None:
        """Ping the loop. If it did not respond to the last ping, report the job that blocks it."""
        if self._responded_at is None:
            self._count_missed_check(attempts)
            return
        if self._blocking_job:
            seconds = self._responded_at - self._pinged_at
            log_blocked_loop(self._blocking_job, f"blocked the event loop for {seconds:.1f} s")
        self._blocking_job, self._missed_checks = "", 0
        self._pinged_at = time.monotonic()
        self._responded_at = None
        try:
            self._loop.call_soon_threadsafe(self._record_response)
        except RuntimeError:  # the loop is closed
            self._responded_at = self._pinged_at

    def _record_response(self) -> None:
        self._responded_at = time.monotonic()

    def _count_missed_check(self, attempts: Collection[Attempt]) -> None:
        self._missed_checks += 1
        if self._missed_checks >= BLOCKED_AFTER_CHECKS and not self._blocking_job:
            self._blocking_job = self._find_blocking_job(attempts)
        if self._missed_checks == REPORTED_AFTER_CHECKS:
            seconds = time.monotonic() - self._pinged_at
            log_blocked_loop(self._blocking_job, f"has blocked the event loop for {seconds:.0f} s")

    def _find_blocking_job(self, attempts: Collection[Attempt]) -> str:
        task = asyncio.current_task(self._loop)
        name = next((f"Job {attempt.job}" for attempt in attempts if attempt.task is task), "This process")
        line = self._stack.find_blocking_line()
        return f"{name} at {line}" if line else name


def log_blocked_loop(job: str, message: str) -> None:
    logger.warning("%s %s. Run blocking work in a thread with asyncio.to_thread (oppman.py docs async).", job, message)
