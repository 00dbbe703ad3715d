"""A job queue for tests that records jobs, and runs them on request."""

from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.sessions.session import after_commit
from opportune.jobs import JobCall, JobContext, JobQueue
from opportune.jobs.execution import UnrecordedJobContext
from opportune.mail import EmailMessage
from opportune.services import Services
from opportune.storage import Storage


class RecordedJobs(JobQueue):
    """Records the jobs of `enqueue`, and those of `defer` after their commit."""

    def __init__(self, settings: Settings, database: Database, storage: Storage, **services: Any) -> None:
        """Set services that jobs request by name, such as `llm`."""
        self.calls: list[JobCall[Any]] = []
        self.keys: list[str] = []
        self.context: JobContext = UnrecordedJobContext(
            Services(settings=settings, database=database, storage=storage, **services)
        )
        database.info["jobs"] = self

    async def enqueue(self, call: JobCall[Any], *, key: str = "", group: str = "", delay: float = 0) -> str:
        self.check(call, key, group, delay)
        await self._record(call, key)
        return str(self.keys.index(key) + 1 if key else len(self.keys))

    def defer(
        self, session: AsyncSession, call: JobCall[Any], *, key: str = "", group: str = "", delay: float = 0
    ) -> None:
        after_commit(session, partial(self._record, call, key))

    async def _record(self, call: JobCall[Any], key: str) -> None:
        if not key or key not in self.keys:  # also after the job has run, as in the queue
            self.calls.append(call)
            self.keys.append(key)

    @property
    def names(self) -> list[str]:
        """Names of the queued jobs, in order."""
        return [call.job.name for call in self.calls]

    @property
    def outbox(self) -> list[EmailMessage]:
        """Queued e-mails, in order."""
        return [EmailMessage.from_json(call.arguments[0]) for call in self.calls if call.job.name == "mail.send"]

    async def run(self, call: JobCall[Any]) -> None:
        """Run a job now, queued or not."""
        try:
            await call.job.run(self.context, call.arguments)
        except Exception as error:
            if call.job.is_final(self.context.attempt, error):
                await call.job.call_on_failure(self.context, error, call.arguments)
            raise

    async def work(self) -> None:
        """Run the queued jobs except e-mails, which stay queued."""
        queued = self.calls
        self.calls = [call for call in self.calls if call.job.name == "mail.send"]
        for call in queued:
            if call.job.name != "mail.send":
                await self.run(call)
