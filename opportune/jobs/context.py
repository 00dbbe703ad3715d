"""What a job sees of its own execution."""

from collections.abc import Awaitable, Callable
from typing import Any

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.jobs.models import Job, JobStep
from opportune.jobs.store import JobStore, hold_lease
from opportune.llm import LanguageModel
from opportune.storage import Storage


class DatabaseJobContext:
    """The JobContext of a job that runs, over the site's database."""

    def __init__(self, job: Job, store: JobStore, settings: Settings, storage: Storage, llm: LanguageModel) -> None:
        self.id = str(job.id)
        self.attempt = job.attempt
        self.settings = settings
        self.database: Database = store.database
        self.storage = storage
        self.llm = llm
        self._job = job
        self._store = store
        self._position = 0

    async def write(self, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        self._position += 1
        async with self.database.writer() as session:
            await hold_lease(session, self._job)
            step = await session.get(JobStep, (self._job.id, self._position))
            if step is None:
                step = JobStep(job_id=self._job.id, position=self._position, result=await work(session, *args))
                session.add(step)
        return step.result

    async def progress(self, done: int, total: int, note: str = "") -> None:
        self._job.note = note[:200]
        await self._store.report(self._job, done, total, self._job.note)
