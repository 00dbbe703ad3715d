"""The context of a running job."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.jobs.leases import renew_lease
from opportune.jobs.models import ClaimedJob, JobStep
from opportune.jobs.store import JobStore
from opportune.project.optional_features import OPTIONAL_FEATURES, feature_of_module, require_feature
from opportune.services import ServiceMissing, Services
from opportune.storage import Storage

T = TypeVar("T")


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
        with self._naming_missing(name if name in OPTIONAL_FEATURES else ""):
            return self.services.named(name)

    @contextmanager
    def _naming_missing(self, feature: str) -> Iterator[None]:
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
                step = JobStep(job_id=self._job.id, position=self._step_number, result=await work(session, *args))
                session.add(step)
        return step.result

    async def step(self, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        self._step_number += 1
        async with self.database.reader(fresh=True) as session:
            step = await session.get(JobStep, (self._job.id, self._step_number))
        if step is None:
            step = JobStep(job_id=self._job.id, position=self._step_number, result=await work(*args))
            async with self.database.writer() as session:
                await renew_lease(session, self._job)
                session.add(step)
        return step.result

    async def progress(self, done: int, total: int, note: str = "") -> None:
        self._job.note = note[:200]  # also the note of a scheduled job's last run
        await self._store.report(self._job, done, total, self._job.note)
