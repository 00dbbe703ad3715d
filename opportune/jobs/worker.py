"""The worker: does jobs, some at a time, and sleeps while there are none, without a statement if it need not poll."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from contextvars import copy_context
from datetime import datetime
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.settings import Settings
from opportune.db.errors import explain
from opportune.db.hooks.change_origin import ChangeOrigin, changes_come_from
from opportune.db.models.model import utc_now
from opportune.errors import OperatorError
from opportune.jobs import JobDefinition, PermanentFailure, RetryLater
from opportune.jobs.context import DatabaseJobContext
from opportune.jobs.heartbeat import send_heartbeat
from opportune.jobs.last_runs import note_run
from opportune.jobs.lease_keeper import LEASE_RENEWAL_SECONDS, Attempt, LeaseKeeper
from opportune.jobs.models import Job, JobState
from opportune.jobs.schedule import next_run_time, schedule_key
from opportune.jobs.store import JobCancelled, JobStore, insert_job
from opportune.runtime.observers import JobAttempt, observed_job
from opportune.runtime.services import Services
from opportune.runtime.tasks import cancel_and_wait
from opportune.runtime.timeouts import run_in_background

BATCHING_DELAY_SECONDS = 0.01
"""Seconds in which jobs that are queued or end are taken together: looking for each alone costs as much as doing it."""
LOCKED_RETRY_SECONDS = 0.2
"""Seconds until what is due is asked for again, when somebody else's transaction has it."""
DATABASE_RETRY_SECONDS = 5.0
"""Seconds until the database is asked again, when it did not answer."""
STORE_RETRY_SECONDS = (0.5, 1.0, 2.0, 0.0)
"""Pauses before storing the result of a job again, after that failed."""
UNFROZEN_SECONDS = 1.0
"""Seconds between two checks of the clock. A gap more than twice as long means that the process was frozen."""
PRUNE_INTERVAL_SECONDS = 3600.0
SHUTDOWN_TIMEOUT_SECONDS = 4.0
"""Seconds for what runs to notice that the process ends. What takes longer is taken over when its lease has ended."""
MAX_RETRY_DELAY_SECONDS = 3600.0
"""Seconds between two attempts, at most."""
SELF_EXPLANATORY_ERRORS = (OperatorError, PermanentFailure, RetryLater)
"""Their message says it all to a person."""

logger = logging.getLogger(__name__)


class Worker:
    """Does jobs: when woken, when one is due, and each `poll` seconds where it has to look for what others queue."""

    def __init__(
        self,
        store: JobStore,
        jobs: Mapping[str, JobDefinition[Any]],
        services: Services,
    ) -> None:
        self.store = store
        self.jobs = jobs
        self.services = services
        self.settings: Settings = services.settings
        self.concurrency = self.settings.database_pool_size
        self.looked = 0.0
        """When the queue was last looked at, by `time.monotonic`."""
        self.ended = asyncio.Event()
        """Set, and replaced by another one, at the end of each try."""
        self._woken = asyncio.Event()
        self._running: dict[asyncio.Task[None], Attempt] = {}
        self._lease_keeper = LeaseKeeper(store, self._running)
        self._stops = False
        self._pruned = time.monotonic()
        self._pruning: asyncio.Task[None] | None = None
        self._planned = False

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> None:
        """Have `work` end, but not in the midst of a statement."""
        self._stops = True
        self.wake()

    async def work(self, poll: float | None = None, delay: float = 0) -> None:
        """Do jobs until told to stop; begin after `delay` seconds, or when woken."""
        try:
            await self._rest(delay)
            while not self._stops:
                await self._rest(await self.look(poll))
        finally:
            await self._cancel_running()

    async def _rest(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()
        if not self._stops:
            await asyncio.sleep(BATCHING_DELAY_SECONDS)

    async def drain(self) -> None:
        """Do what is due now, and what that queues, and no more."""
        try:
            while await self._start_due() or self._running:
                if self._running:  # what was started may have ended while its schedule was planned
                    await asyncio.wait(
                        self._running, return_when=asyncio.FIRST_COMPLETED, timeout=LEASE_RENEWAL_SECONDS
                    )
                await self._renew()
        finally:
            await self._cancel_running()

    async def work_for(self, seconds: float) -> Counter[str]:
        """Do what is due, one after the other, and begin nothing new after so many seconds; the names of what ended.

        Time in which the host had frozen the process does not count, or a job would be given up each time it thaws.
        """
        ended = Counter[str]()
        used, before = 0.0, time.monotonic()
        self.concurrency, self.looked = 1, before
        try:
            await self._plan_all()
            while (used < seconds and await self._start_due()) or self._running:
                names = {task: attempt.job.name for task, attempt in self._running.items()}
                done, _ = await asyncio.wait(self._running, timeout=UNFROZEN_SECONDS)
                ended.update(names[task] for task in done)
                await self._renew()
                used += min(time.monotonic() - before, 2 * UNFROZEN_SECONDS)
                before = time.monotonic()
        except (DBAPIError, PoolTimeoutError) as error:
            logger.warning("Jobs wait: %s", explain(error, self.store.database.url))
        finally:
            await self._cancel_running()
        return ended

    async def look(self, poll: float | None = None) -> float | None:
        """Start what is due, and give the seconds until the next look; None for when woken."""
        try:
            self.looked = time.monotonic()
            await self._plan_all()
            await self._renew()
            started = await self._start_due()
            self._prune()
            # What has just begun wakes us at its end: only then is the next one asked for.
            pauses = [
                poll,
                LEASE_RENEWAL_SECONDS if self._running else None,
                None if started else await self._seconds_to_next(),
            ]
        except (DBAPIError, PoolTimeoutError) as error:
            logger.warning("Jobs wait: %s", explain(error, self.store.database.url))
            return DATABASE_RETRY_SECONDS
        except Exception:
            logger.exception("Jobs wait")  # the edge: what went wrong once does not end all jobs of this process
            return DATABASE_RETRY_SECONDS
        return min((pause for pause in pauses if pause is not None), default=None)

    async def _start_due(self) -> int:
        free = self.concurrency - len(self._running)
        due = await self.store.claim(free, self._running_jobs()) if free else []
        for job in due:
            context = copy_context()  # one for both: how it ended is logged with its number and its trace
            attempt = Attempt(job, asyncio.create_task(self._act(job), context=context))
            task = asyncio.create_task(self._record_outcome(attempt), context=context)
            self._running[task] = attempt
            task.add_done_callback(self._note_end)
        if due:
            self._lease_keeper.start()
        await self._plan(job.name for job in due)
        return len(due)

    def _running_jobs(self) -> list[Job]:
        return [attempt.job for attempt in self._running.values()]

    def _note_end(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self.wake()
        self.ended.set()
        self.ended = asyncio.Event()

    async def _seconds_to_next(self) -> float | None:
        if len(self._running) >= self.concurrency:
            return None  # the end of one of them wakes us
        seconds = await self.store.seconds_to_next()
        return seconds if seconds is None or seconds > 0 else LOCKED_RETRY_SECONDS

    async def _renew(self) -> None:
        if not self._running or time.monotonic() - self._lease_keeper.renewed < LEASE_RENEWAL_SECONDS / 2:
            return
        cancelled = await self.store.renew(self._running_jobs())
        self._lease_keeper.renewed = time.monotonic()
        for attempt in self._running.values():
            if attempt.job.id in cancelled:
                attempt.is_cancelled = True
                attempt.act.cancel()

    async def _plan_all(self) -> None:
        if not self._planned:
            await self._plan(self.jobs)
            self._planned = True

    async def _plan(self, names: Iterable[str]) -> None:
        """Queue the next run of those that have a schedule. What was missed while nothing ran is done once."""
        now = utc_now()
        times = {name: due_at for name in set(names) if (due_at := self._next_time(name, now))}
        if not times:
            return
        async with self.store.database.writer() as session:
            for name, due_at in times.items():
                await insert_job(session, name, (), schedule_key(name, due_at), due_at)

    async def plan_after(self, session: AsyncSession, job: Job) -> None:
        """Queue the run that its schedule has after this one, which will not come to plan it."""
        if due_at := self._next_time(job.name, max(job.due_at, utc_now())):
            await insert_job(session, job.name, (), schedule_key(job.name, due_at), due_at)

    def _next_time(self, name: str, after: datetime) -> datetime | None:
        declared = self.jobs.get(name)
        try:
            schedule = declared.schedule_in(self.settings) if declared else ""
            return next_run_time(schedule, after) if schedule else None
        except OperatorError as error:
            logger.warning("Job %s is never begun by itself: %s", name, error)
            return None

    def _prune(self) -> None:
        if time.monotonic() - self._pruned > PRUNE_INTERVAL_SECONDS and (self._pruning is None or self._pruning.done()):
            self._pruned = time.monotonic()
            # Beside the jobs: it may take minutes, in which their leases would end.
            self._pruning = asyncio.create_task(self.forget_old())

    async def forget_old(self) -> None:
        try:
            await self.store.prune()
        except (DBAPIError, PoolTimeoutError) as error:
            logger.warning("Jobs that ended long ago stay: %s", explain(error, self.store.database.url))

    async def _act(self, job: Job) -> None:
        declared = self.jobs[job.name]
        if job.cancel_asked:
            raise JobCancelled  # its process died before it could heed that
        if job.attempt > declared.attempts:
            raise PermanentFailure("The worker process ended during each attempt of this job.")
        await self.services.prepare_job()
        context = DatabaseJobContext(job, self.store, self.services)
        origin = changes_come_from(ChangeOrigin(f"job {job.name}"))
        with origin, observed_job(JobAttempt(job.id or 0, job.name, job.attempt, job.traceparent or "")):
            await declared.function(context, *job.arguments)

    async def _record_outcome(self, attempt: Attempt) -> None:
        """Store how it ended. The end of the site cuts short the job, and not this."""
        await asyncio.wait([attempt.act])
        for pause in STORE_RETRY_SECONDS:
            try:
                await self._store_end(attempt)
                return
            except (DBAPIError, PoolTimeoutError) as error:
                reason = explain(error, self.store.database.url)
            await asyncio.sleep(0 if self._stops else pause)
        logger.warning("The end of job %s could not be stored, so it will be done again: %s", attempt.job, reason)

    async def _store_end(self, attempt: Attempt) -> None:
        job = attempt.job
        try:
            attempt.act.result()
        except asyncio.CancelledError as error:
            if isinstance(error, JobCancelled) or attempt.is_cancelled:
                await self.store.end(job, JobState.CANCELLED)  # in vain where another process has taken it over
            elif self._stops:
                await self.store.release(job)
            else:
                await self._fail(job, OperatorError("It has cancelled itself."))
        except Exception as error:  # noqa: BLE001 - the edge: whatever a job raises is a failed try of it
            await self._fail(job, error)
        else:
            await self.store.end(job, JobState.DONE)
            await self._note_run(job)
            if url := self.jobs[job.name].heartbeat_url_in(self.settings):
                run_in_background(send_heartbeat(url))

    async def _note_run(self, job: Job, error: str = "") -> None:
        if self.jobs[job.name].schedule:
            async with self.store.database.writer() as session:
                await note_run(session, job.name, job.note, error)

    async def _fail(self, job: Job, error: Exception) -> None:
        declared, reason = self.jobs[job.name], error_summary(error)
        await self._note_run(job, reason)
        if job.attempt >= declared.attempts or isinstance(error, PermanentFailure):
            logger.error("Job %s has failed: %s", job, reason, exc_info=_trace(error))
            await self.store.end(job, JobState.FAILED, reason)
            return
        logger.warning("Job %s failed (try %s of %s): %s", job, job.attempt, declared.attempts, reason)
        await self.store.postpone(job, retry_delay(declared, job.attempt, error), reason)

    async def _cancel_running(self) -> None:
        self._stops = True
        for attempt in self._running.values():
            attempt.act.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=SHUTDOWN_TIMEOUT_SECONDS)
        await cancel_and_wait(self._pruning)
        await self._lease_keeper.stop()
        self.store.lock.release()
        self._stops = bool(self._running)  # what ends later has been cut short as well


def retry_delay(job: JobDefinition[Any], attempt: int, error: Exception | None = None) -> float:
    """Seconds until the next attempt."""
    asked = error.seconds if isinstance(error, RetryLater) else 0.0
    return min(max(job.wait * 2.0 ** min(attempt - 1, 30), asked), MAX_RETRY_DELAY_SECONDS)


def error_summary(error: Exception) -> str:
    """Describe an error in one line that any database can store and any terminal show."""
    lines = str(error).strip().splitlines()
    name = "" if isinstance(error, SELF_EXPLANATORY_ERRORS) else type(error).__name__
    words = ": ".join(filter(None, (name, lines[0] if lines else "")))[:500]
    return "".join(char if char.isprintable() else " " for char in words).strip()


def _trace(error: Exception) -> Exception | None:
    """What is a person's to put right needs no traceback."""
    return None if isinstance(error, SELF_EXPLANATORY_ERRORS) else error
