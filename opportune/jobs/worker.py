"""The worker: runs several jobs at a time, and sleeps while none is due."""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from typing import Any

from opportune.config.settings import Settings
from opportune.db.errors import DATABASE_ERRORS, explain
from opportune.jobs.execution import Attempt, run_attempt, store_outcome
from opportune.jobs.lease_keeper import LEASE_RENEWAL_SECONDS, LeaseKeeper
from opportune.jobs.models import ClaimedJob
from opportune.jobs.schedules import Scheduler
from opportune.jobs.store import JobStore
from opportune.services import Services
from opportune.services.tasks import cancel_and_wait

BATCHING_DELAY_SECONDS = 0.01
"""Delay before a check of the queue, so that several new jobs need only one query."""
LOCKED_RETRY_SECONDS = 0.2
MAX_LOCKED_RETRY_SECONDS = 5.0
"""Seconds until the next check if another transaction has locked the due jobs, or their queue is paused or full. They
double with each check in a row."""
DATABASE_RETRY_SECONDS = 5.0
"""Seconds until the next check if the database is unavailable."""
STORE_RETRY_SECONDS = (0.5, 1.0, 2.0, 0.0)
"""Pauses between attempts to store the result of a job."""
UNFROZEN_SECONDS = 1.0
"""Seconds between two checks of the clock. A gap of more than twice this means that the process was frozen."""
PRUNE_INTERVAL_SECONDS = 3600.0
SHUTDOWN_TIMEOUT_SECONDS = 4.0
"""Time for running jobs to end at shutdown. Other workers take over the remaining ones when the leases expire."""
MAX_PREFETCHED_JOBS = 1000
"""Maximum number of claimed jobs that wait for a free slot."""
PREFETCH_SECONDS = 0.2
"""Claimed jobs that wait for a free slot should all start within this time."""
MAX_HELD_SECONDS = 2.0
"""Seconds after which claimed jobs that still wait return to the queue, because the jobs before them became slow."""

logger = logging.getLogger(__name__)


class Worker:
    """Runs jobs when it is woken, when a job is due, and at regular checks."""

    def __init__(self, store: JobStore, services: Services) -> None:
        self.store = store
        self.jobs = store.jobs
        self.services = services
        self.settings: Settings = services.settings
        self.scheduler = Scheduler(store.database, self.jobs, self.settings)
        self.concurrency: int = self.settings.pool_size[0]
        self.max_prefetched_jobs = MAX_PREFETCHED_JOBS
        self.polled_at = 0.0
        """Time of the last check of the queue, by `time.monotonic`."""
        self.attempt_ended = asyncio.Event()
        """Set, and replaced by a new event, when the outcome of an attempt is stored."""
        self._woken = asyncio.Event()
        self._attempts: dict[int, Attempt] = {}
        """Attempts by job id, from the claim until the outcome is stored."""
        self._waiting = deque[Attempt]()
        """Attempts that wait for a free slot."""
        self._running: dict[asyncio.Task[None], Attempt] = {}
        self._completed: list[Attempt] = []
        """Successful attempts, which are stored together with the next claim."""
        self._recording: set[asyncio.Task[None]] = set()
        """Tasks that store other outcomes."""
        self._ended_count = 0
        self._counted_from = time.monotonic()
        self._lease_keeper = LeaseKeeper(store, self._attempts)
        self._is_stopping = False
        self._locked_retry_seconds = LOCKED_RETRY_SECONDS
        self._pruned_at = time.monotonic()
        self._pruning: asyncio.Task[None] | None = None
        self._problem = ""
        """Why the last check of the queue failed, which is logged once; empty after a success."""

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> None:
        """Let `work` end after its current statement."""
        self._is_stopping = True
        self.wake()

    async def work(self, poll: float | None = None, delay: float = 0) -> None:
        """Run jobs until `stop` is called.

        Args:
            poll: Maximum seconds between checks of the queue; None if other processes do not queue jobs.
            delay: Seconds until the first check, unless woken.
        """
        try:
            await self._sleep(delay)
            while not self._is_stopping:
                await self._sleep(await self.start_due_jobs(poll))
        finally:
            await self._cancel_running()

    async def _sleep(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()
        if not self._is_stopping:
            await asyncio.sleep(BATCHING_DELAY_SECONDS)

    async def drain(self) -> None:
        """Run due jobs, and the jobs that they queue, until none is due."""
        try:
            attempt_ended = self.attempt_ended
            # An attempt that ends during the claim may let another job run.
            while await self._exchange(self._count_free_slots()) or self._attempts or attempt_ended.is_set():
                attempt_ended = self.attempt_ended
                await self._wait_for_an_end(LEASE_RENEWAL_SECONDS)
                await self._renew()
        finally:
            await self._cancel_running()

    async def _wait_for_an_end(self, timeout: float) -> None:
        if tasks := [*self._running, *self._recording]:  # a started job may already have ended
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=timeout)

    async def work_for(self, seconds: float) -> Counter[str]:
        """Run due jobs one after another, and return the names of those that ended. Start none after `seconds`.

        Time in which the host has frozen the process does not count.
        """
        names = dict[int, str]()
        elapsed = 0.0
        before = time.monotonic()
        self.concurrency = 1
        self.max_prefetched_jobs = 0
        self.polled_at = before
        try:
            await self.scheduler.queue_all()
            while await self._exchange(self._count_free_slots() if elapsed < seconds else 0) or self._attempts:
                names |= {job_id: attempt.job.name for job_id, attempt in self._attempts.items()}
                await self._wait_for_an_end(UNFROZEN_SECONDS)
                await self._renew()
                elapsed += min(time.monotonic() - before, 2 * UNFROZEN_SECONDS)
                before = time.monotonic()
        except DATABASE_ERRORS as error:
            logger.warning("Jobs wait: %s", explain(error, self.store.database.url))
        finally:
            finished = Counter(name for job_id, name in names.items() if job_id not in self._attempts)
            await self._cancel_running()
        return finished

    async def start_due_jobs(self, poll: float | None = None) -> float | None:
        """Start due jobs. Return the seconds until the next check; None to sleep until woken."""
        try:
            self.polled_at = time.monotonic()
            await self.scheduler.queue_all()
            await self._renew()
            if self._waiting and time.monotonic() - self._waiting[0].started_at > MAX_HELD_SECONDS:
                await self._release_waiting()
            started = await self._exchange(self._count_free_slots())
            self._start_pruning()
            pauses = [poll]
            if self._running:
                pauses.append(LEASE_RENEWAL_SECONDS)
            if not started:  # otherwise the end of a job wakes the worker, which then checks for the next one
                pauses.append(await self._seconds_to_next())
        except DATABASE_ERRORS as error:
            if self._is_new_problem(problem := explain(error, self.store.database.url)):
                logger.warning("Jobs wait: %s", problem)
            return DATABASE_RETRY_SECONDS
        except Exception as error:
            if self._is_new_problem(repr(error)):
                logger.exception("Jobs wait")  # the edge of the worker: one failure must not end all jobs
            return DATABASE_RETRY_SECONDS
        self._problem = ""
        return min((pause for pause in pauses if pause is not None), default=None)

    def _is_new_problem(self, problem: str) -> bool:
        is_new = problem != self._problem
        self._problem = problem
        return is_new

    async def _exchange(self, limit: int) -> int:
        """Store completed jobs and claim up to `limit` due ones, in one transaction. Start those that find a slot.

        Returns:
            The number of claimed jobs.
        """
        if not limit and not self._completed:
            return 0
        completed = self._completed
        self._completed = []
        try:
            jobs = await self.store.claim(limit, self._claimed_jobs(), [attempt.job for attempt in completed])
        except BaseException:
            self._completed += completed
            raise
        self._forget(*completed)
        for job in jobs:
            attempt = Attempt(job)
            self._attempts[job.id] = attempt
            self._waiting.append(attempt)
        if jobs:
            self._locked_retry_seconds = LOCKED_RETRY_SECONDS
            self._lease_keeper.start()
        self.store.lock.replace_started(job_id for job_id, attempt in self._attempts.items() if attempt.task)
        self._fill_slots()
        await self.scheduler.queue_runs({job.name: job.due_at for job in jobs})
        return len(jobs)

    def _count_free_slots(self) -> int:
        """Return the number of jobs to claim: those that start now, and those that probably start soon."""
        prefetched = min(self._estimate_ends(), self.max_prefetched_jobs)
        return max(0, self.concurrency + prefetched - len(self._running) - len(self._waiting))

    def _estimate_ends(self) -> int:
        """Return how many jobs probably end soon, if they end as fast as since the last call."""
        ended_per_second = self._ended_count / (time.monotonic() - self._counted_from)
        self._ended_count = 0
        self._counted_from = time.monotonic()
        return int(ended_per_second * PREFETCH_SECONDS)

    def _fill_slots(self) -> None:
        while self._waiting and len(self._running) < self.concurrency and not self._is_stopping:
            attempt = self._waiting.popleft()
            self.store.lock.add_started(attempt.job.id)
            context = copy_context()  # shared, so that the log lines of the outcome have the job's id and trace
            attempt.task = asyncio.create_task(run_attempt(attempt.job, self.store, self.services), context=context)
            self._running[attempt.task] = attempt
            attempt.task.add_done_callback(partial(self._handle_end, attempt, context))

    def _claimed_jobs(self) -> list[ClaimedJob]:
        return [attempt.job for attempt in self._attempts.values()]

    def _handle_end(self, attempt: Attempt, context: Context, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._ended_count += 1
        if self._is_stopping or attempt.is_interrupted or self._has_further_effect(attempt, task):
            recording = asyncio.create_task(self._record_outcome(attempt), context=context)
            self._recording.add(recording)
            recording.add_done_callback(self._recording.remove)
            recording.add_done_callback(lambda _: self.wake())
        else:
            self._completed.append(attempt)
        self._fill_slots()
        self.wake()

    def _has_further_effect(self, attempt: Attempt, task: asyncio.Task[None]) -> bool:
        """Return whether the end of an attempt does more than complete its job, such as a retry or a heartbeat."""
        definition = self.jobs[attempt.job.name]
        has_failed = task.cancelled() or task.exception() is not None
        return has_failed or bool(definition.schedule or definition.heartbeat_url)

    def _forget(self, *attempts: Attempt) -> None:
        """Forget attempts whose outcome is stored."""
        if not attempts:
            return
        for attempt in attempts:
            self._attempts.pop(attempt.job.id, None)
        self.attempt_ended.set()
        self.attempt_ended = asyncio.Event()

    async def _seconds_to_next(self) -> float | None:
        if len(self._running) >= self.concurrency or self._completed:
            return None  # the end of a job wakes the worker
        seconds = await self.store.seconds_to_next()
        if seconds is None or seconds > 0:
            self._locked_retry_seconds = LOCKED_RETRY_SECONDS
            return seconds
        pause = self._locked_retry_seconds
        self._locked_retry_seconds = min(2 * pause, MAX_LOCKED_RETRY_SECONDS)
        return pause

    async def _renew(self) -> None:
        if not self._attempts or time.monotonic() - self._lease_keeper.renewed_at < LEASE_RENEWAL_SECONDS / 2:
            return
        cancelled = await self.store.renew(self._claimed_jobs())
        self._lease_keeper.renewed_at = time.monotonic()
        for attempt in self._attempts.values():
            if attempt.job.id in cancelled:
                attempt.cancel()

    def _start_pruning(self) -> None:
        is_pruning = self._pruning is not None and not self._pruning.done()
        if time.monotonic() - self._pruned_at > PRUNE_INTERVAL_SECONDS and not is_pruning:
            self._pruned_at = time.monotonic()
            # In a task, because it may take minutes, in which leases would expire.
            self._pruning = asyncio.create_task(self.prune())

    async def prune(self) -> None:
        try:
            await self.store.prune()
        except DATABASE_ERRORS as error:
            logger.warning("Old jobs could not be deleted: %s", explain(error, self.store.database.url))

    async def _record_outcome(self, attempt: Attempt) -> None:
        """Store the outcome of an attempt, and forget it. The end of the site does not interrupt this."""
        store = partial(store_outcome, attempt, self.store, self.services)
        try:
            await self._retry_while_unavailable(store, f"outcome of job {attempt.job}")
        except Exception:
            logger.exception("The outcome of job %s", attempt.job)
        finally:
            self._forget(attempt)

    async def _retry_while_unavailable(self, store: Callable[[], Awaitable[Any]], what: str) -> None:
        for pause in STORE_RETRY_SECONDS:
            try:
                await store()
                return
            except DATABASE_ERRORS as error:
                reason = explain(error, self.store.database.url)
            await asyncio.sleep(0 if self._is_stopping else pause)
        logger.warning("The %s could not be stored, so it will run again: %s", what, reason)

    async def _cancel_running(self) -> None:
        self._is_stopping = True
        for task, attempt in self._running.items():
            attempt.is_interrupted = True
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=SHUTDOWN_TIMEOUT_SECONDS)
        for attempt in self._running.values():
            logger.warning("Job %s did not end %g s after its cancellation.", attempt.job, SHUTDOWN_TIMEOUT_SECONDS)
        if self._recording:
            await asyncio.wait(self._recording, timeout=SHUTDOWN_TIMEOUT_SECONDS)
        await self._store_completed()
        await self._release_waiting()
        await cancel_and_wait(self._pruning)
        await self._lease_keeper.stop()
        self.store.lock.release()
        self._is_stopping = False

    async def _store_completed(self) -> None:
        if self._completed:
            names = ", ".join(str(attempt.job) for attempt in self._completed)
            await self._retry_while_unavailable(partial(self._exchange, 0), f"outcome of {names}")
            self._forget(*self._completed)
            self._completed.clear()

    async def _release_waiting(self) -> None:
        if self._waiting:
            attempts = [*self._waiting]
            self._waiting.clear()
            jobs = [attempt.job for attempt in attempts]
            await self._retry_while_unavailable(partial(self.store.release, *jobs), "return of waiting jobs")
            self._forget(*attempts)
