"""A thread that renews the leases of running jobs while a job blocks the event loop, and reports that job."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError

from opportune.db.errors import explain
from opportune.jobs.models import Job
from opportune.jobs.store import LEASE_DURATION, JobStore
from opportune.server.loop_monitor import LoopMonitor

LEASE_RENEWAL_SECONDS = LEASE_DURATION.total_seconds() / 3
"""Seconds between two renewals by the event loop."""
LATE_RENEWAL_SECONDS = LEASE_DURATION.total_seconds() / 2
"""Seconds after which the thread renews instead."""
CHECK_INTERVAL_SECONDS = 1.0
"""Seconds between two checks, while jobs run."""
MAX_UNANSWERED_CHECKS = 5
"""Unanswered checks until a loop counts as blocked. Seconds would include time in which the process was frozen."""
MAX_UNREPORTED_CHECKS = 60
"""Unanswered checks until a loop is reported that is still blocked."""
JOIN_TIMEOUT_SECONDS = 2.0

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Attempt:
    """A running job and its task."""

    job: Job
    task: asyncio.Task[None]
    is_cancelled: bool = False
    started: float = field(default_factory=time.monotonic)


class LeaseKeeper:
    """The thread of one worker. It sleeps while no job runs."""

    def __init__(self, store: JobStore, running: Mapping[asyncio.Task[None], Attempt]) -> None:
        self.renewed = time.monotonic()
        """Time of the last renewal of all leases, by `time.monotonic`."""
        self._store = store
        self._running = running
        self._busy, self._ending = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._tried = 0.0

    def start(self) -> None:
        """Watch the running loop and the leases of its jobs, until no job runs."""
        if self._thread is None:
            self._ending.clear()
            watch = LoopWatch(asyncio.get_running_loop())
            self._thread = threading.Thread(target=self._keep, args=(watch,), name="lease-keeper", daemon=True)
            self._thread.start()
        self._busy.set()

    async def stop(self) -> None:
        """End the thread."""
        if self._thread:
            self._ending.set()
            self._busy.set()
            await asyncio.to_thread(self._thread.join, JOIN_TIMEOUT_SECONDS)
            self._thread = None

    def _keep(self, watch: "LoopWatch") -> None:
        while self._busy.wait() and not self._ending.wait(CHECK_INTERVAL_SECONDS):
            self._busy.clear()
            attempts = list(dict(self._running).values())
            if attempts:
                self._busy.set()
                self._renew_if_late(attempts)
            watch.check(attempts)

    def _renew_if_late(self, attempts: Collection[Attempt]) -> None:
        now, oldest = time.monotonic(), min(attempt.started for attempt in attempts)
        if now - max(self.renewed, oldest) < LATE_RENEWAL_SECONDS or now - self._tried < LEASE_RENEWAL_SECONDS / 2:
            return
        self._tried = now
        try:
            self._store.renew_from_thread([attempt.job for attempt in attempts])
            self.renewed = now
        except (SQLAlchemyError, sqlite3.Error) as error:
            reason = explain(error, self._store.database.url)
            logger.warning("The leases of running jobs could not be renewed: %s", reason)


class LoopWatch:
    """Checks whether an event loop still runs callbacks. Create it on the thread of the loop; call it on another."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._monitor = LoopMonitor(loop)
        self._pinged = time.monotonic()
        self._answered: float | None = self._pinged
        self._unanswered = 0
        self._culprit = ""

    def check(self, attempts: Collection[Attempt]) -> None:
        """Report a job that has blocked the loop, and ping the loop."""
        if self._answered is None:
            self._wait(attempts)
            return
        if self._culprit:
            report(self._culprit, f"blocked the event loop for {self._answered - self._pinged:.1f} s")
        self._culprit, self._unanswered = "", 0
        self._pinged, self._answered = time.monotonic(), None
        try:
            self._loop.call_soon_threadsafe(self._answer)
        except RuntimeError:  # the loop is closed
            self._answered = self._pinged

    def _answer(self) -> None:
        self._answered = time.monotonic()

    def _wait(self, attempts: Collection[Attempt]) -> None:
        self._unanswered += 1
        if self._unanswered >= MAX_UNANSWERED_CHECKS and not self._culprit:
            self._culprit = self._find_culprit(attempts)
        if self._unanswered == MAX_UNREPORTED_CHECKS:
            report(self._culprit, f"has blocked the event loop for {time.monotonic() - self._pinged:.0f} s")

    def _find_culprit(self, attempts: Collection[Attempt]) -> str:
        task = asyncio.current_task(self._loop)
        name = next((f"Job {attempt.job}" for attempt in attempts if attempt.task is task), "This process")
        place = self._monitor.place()
        return f"{name} at {place}" if place else name


def report(culprit: str, message: str) -> None:
    logger.warning("%s %s. Run blocking work in a thread with asyncio.to_thread (docs/async.md).", culprit, message)
