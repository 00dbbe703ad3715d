"""One attempt of a job: its context, its run, how its outcome is stored, and when a failed one is repeated."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic_core import to_jsonable_python

from opportune.config.settings import Settings
from opportune.context import use_value
from opportune.db.database import Database
from opportune.db.drivers.replica import reads_fresh
from opportune.db.errors import is_outage
from opportune.db.hooks.change_origin import ChangeOrigin, changes_come_from
from opportune.errors import OperatorError
from opportune.jobs import JobDefinition, PermanentFailure, RetryLater
from opportune.jobs.leases import JobCancelled, renew_lease
from opportune.jobs.models import ClaimedJob, JobState, JobStep
from opportune.jobs.schedules import record_run
from opportune.jobs.store import JobStore
from opportune.project.optional_features import OPTIONAL_FEATURES, feature_of_module, require_feature
from opportune.schemas.text import make_storable
from opportune.services import ServiceMissing, Services
from opportune.services.observers import JobAttempt, observed_job
from opportune.services.tasks import run_in_background
from opportune.storage import Storage

T = TypeVar("T")
MAX_RETRY_DELAY_SECONDS = 3600.0
"""Maximum delay between two attempts."""
SELF_EXPLANATORY_ERRORS = (OperatorError, PermanentFailure, RetryLater)
"""Errors whose message is enough without type and traceback."""
logger = logging.getLogger(__name__)
HEARTBEAT_TIMEOUT_SECONDS = 10


class ServicesContext:
    """The services of the site, as attributes and by type. Base of `DatabaseJobContext`."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.settings: Settings = services.settings
        self.database: Database = services.database
        self.storage: Storage = services.storage

    def service(self, type_: type[T]) -> T:
        with self._naming_missing(feature_of_module(type_.__module__)):
            return self.services.get(type_)

    def __getattr__(self, name: str) -> Any:
        with self._naming_missing(name if name in OPTIONAL_FEATURES else None):
            return self.services.named(name)

    @contextmanager
    def _naming_missing(self, feature: str | None) -> Iterator[None]:
        """Name the optional feature that would register a missing service."""
        try:
            yield
        except ServiceMissing:
            if feature:
                require_feature(feature, self.services.features)
            raise


class DatabaseJobContext(ServicesContext):
    """A JobContext that records steps and progress in the site's database."""

    def __init__(self, job: ClaimedJob, store: JobStore, services: Services) -> None:
        super().__init__(services)
        self.id = str(job.id)
        self.attempt = job.attempt
        self._job = job
        self._store = store
        self._step_number = 0

    async def write(self, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        self._step_number += 1
        async with self.database.writer() as session:
            await renew_lease(session, self._job)
            step = await session.get(JobStep, (self._job.id, self._step_number))
            if step is None:
                step = self._make_step(await work(session, *args))
                session.add(step)
        return step.result

    async def step(self, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        self._step_number += 1
        async with self.database.reader(fresh=True) as session:
            step = await session.get(JobStep, (self._job.id, self._step_number))
        if step is None:
            step = self._make_step(await work(*args))
            async with self.database.writer() as session:
                await renew_lease(session, self._job)
                session.add(step)
        return step.result

    def _make_step(self, result: Any) -> JobStep:
        # The first attempt gets the result as later ones read it, such as a UUID as text.
        return JobStep(job_id=self._job.id, position=self._step_number, result=to_jsonable_python(result))

    async def progress(self, done: int, total: int, note: str = "") -> None:
        self._job.note = make_storable(note)[:200]  # also the note of a scheduled job's last run
        await self._store.report(self._job, done, total, self._job.note)


class UnrecordedJobContext(ServicesContext):
    """A JobContext without stored steps, for tests and for functions that run after the last attempt."""

    def __init__(self, services: Services, job: ClaimedJob | None = None) -> None:
        super().__init__(services)
        self.id = str(job.id) if job else "1"
        self.attempt = job.attempt if job else 1

    async def write(self, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        async with self.database.writer() as session:
            return to_jsonable_python(await work(session, *args))

    async def step(self, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        return to_jsonable_python(await work(*args))

    async def progress(self, done: int, total: int, note: str = "") -> None:
        pass


@dataclass(eq=False)
class Attempt:
    """A claimed job and its asyncio task."""

    job: ClaimedJob
    task: asyncio.Task[None] | None = None
    """None until a slot is free."""
    is_cancelled: bool = False
    is_interrupted: bool = False
    """Whether the worker has cancelled it, because it stops."""
    started_at: float = field(default_factory=time.monotonic)

    def cancel(self) -> None:
        """Cancel the job at the request of a user."""
        self.is_cancelled = self.job.cancel_asked = True
        if self.task:
            self.task.cancel()


async def run_attempt(job: ClaimedJob, store: JobStore, services: Services) -> None:
    """Call the function of a claimed job. An exception is the outcome of the attempt."""
    definition = store.jobs[job.name]
    if job.cancel_asked:
        raise JobCancelled  # its process died before it could end the job
    if job.attempt > definition.attempts:
        raise PermanentFailure("The worker process ended during each attempt of this job.")
    if type(job.arguments) is not list:
        raise PermanentFailure("The arguments of this job are not a JSON list.")
    await services.prepare_job()
    reads_fresh.set(True)  # a replica may lack the change that has queued the job
    context = DatabaseJobContext(job, store, services)
    origin = changes_come_from(ChangeOrigin(f"job {job.name}"))
    with origin, observed_job(JobAttempt(job.id, job.name, job.attempt, job.traceparent or "")):
        try:
            async with asyncio.timeout(definition.max_seconds) as timeout:
                await definition.run(context, job.arguments)
        except TimeoutError:
            if not timeout.expired():
                raise  # a timeout inside of the function
            raise OperatorError(f"The job took longer than {definition.max_seconds:g} s.") from None
        except SystemExit as error:  # would end the worker with all its jobs
            raise OperatorError(f"The job has called sys.exit({error.code!r}).") from None


async def store_outcome(attempt: Attempt, store: JobStore, services: Services) -> None:
    """Store how an attempt has ended. It has no effect if another worker has taken over the job."""
    job = attempt.job
    assert attempt.task
    try:
        attempt.task.result()
    except asyncio.CancelledError as error:
        attempt.is_cancelled |= isinstance(error, JobCancelled)  # the next call of `result` raises a plain error
        if attempt.is_cancelled:
            await store.end(job, JobState.CANCELLED)
        elif attempt.is_interrupted:
            await store.release(job)
        else:
            await _store_failure(job, store, services, OperatorError("The job cancelled itself."))
    except Exception as error:  # noqa: BLE001 - the edge of a job: any exception is a failed attempt
        await _store_failure(job, store, services, error)
    else:
        await store.end(job, JobState.DONE)
        await _record_scheduled_run(job, store)
        if url := store.jobs[job.name].heartbeat_url_in(services.settings):
            run_in_background(send_heartbeat(url))


async def _store_failure(job: ClaimedJob, store: JobStore, services: Services, error: Exception) -> None:
    """Retry the job later, or end it if no attempt is left."""
    definition = store.jobs[job.name]
    reason = error_summary(error)
    await _record_scheduled_run(job, store, reason)
    if not definition.is_final(job.attempt, error):
        logger.warning("Job %s failed (attempt %s of %s): %s", job, job.attempt, definition.attempts, reason)
        await store.postpone(job, retry_delay(definition, job.attempt, error), reason)
        return
    if definition.on_failure and job.attempt <= definition.attempts + 1:  # it may have killed the last worker
        await _call_on_failure(definition, job, services, error)
    traced = None if isinstance(error, SELF_EXPLANATORY_ERRORS) else error
    logger.error("Job %s has failed: %s", job, reason, exc_info=traced)
    await store.end(job, JobState.FAILED, reason)


async def _call_on_failure(
    definition: JobDefinition[Any], job: ClaimedJob, services: Services, error: Exception
) -> None:
    """Call the function for failures. Its errors are logged, except an outage of the database, which is raised."""
    try:
        with use_value(reads_fresh, True), changes_come_from(ChangeOrigin(f"job {job.name}")):
            await services.prepare_job()
            async with asyncio.timeout(definition.max_seconds):
                await definition.call_on_failure(UnrecordedJobContext(services, job), error, job.arguments)
    except (Exception, SystemExit, asyncio.CancelledError) as fault:
        task = asyncio.current_task()
        if is_outage(fault) or (task and task.cancelling()):
            raise  # the worker stores the outcome later, and repeats this call
        logger.exception("on_failure of job %s", job)


async def _record_scheduled_run(job: ClaimedJob, store: JobStore, error: str = "") -> None:
    if store.jobs[job.name].schedule:
        async with store.database.writer() as session:
            await record_run(session, job.name, job.note, error)


def retry_delay(job: JobDefinition[Any], attempt: int, error: Exception | None = None) -> float:
    """Return the seconds until the next attempt."""
    doublings = min(attempt - 1, 30)  # more would exceed the maximum anyway, and overflow
    requested = error.seconds if isinstance(error, RetryLater) else 0.0
    return min(max(job.wait * 2.0**doublings, requested), MAX_RETRY_DELAY_SECONDS)


def error_summary(error: Exception) -> str:
    """Describe an error in one printable line."""
    summary = str(error).strip().partition("\n")[0]
    if not isinstance(error, SELF_EXPLANATORY_ERRORS):
        summary = f"{type(error).__name__}: {summary}".removesuffix(": ")
    return "".join(char if char.isprintable() else " " for char in summary[:500]).strip()


async def send_heartbeat(url: str) -> None:
    """Call the address. A failure is logged and does not fail the job."""
    if reason := await asyncio.to_thread(_call, url):
        # Log only the host: the path of such addresses is secret.
        logger.warning("The heartbeat did not reach %s: %s", urlsplit(url).hostname or "its address", reason)


def _call(url: str) -> str:
    """Return the reason of a failure; empty for success."""
    import httpx2  # slow, in this thread

    try:
        response = httpx2.get(url, timeout=HEARTBEAT_TIMEOUT_SECONDS)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        return type(error).__name__
    return "" if response.is_success else f"status {response.status_code}"
