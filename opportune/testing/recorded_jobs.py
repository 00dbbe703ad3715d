"""Jobs that are only noted, so that a test looks at what was queued."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.database import after_commit
from opportune.jobs import JobCall, JobQueue


class RecordedJobs(JobQueue):
    """Put one into `database.info["jobs"]`. Notes what is queued by a change, once the change is committed."""

    def __init__(self) -> None:
        self.calls: list[JobCall[Any]] = []
        self.keys: list[str] = []

    async def enqueue(self, call: JobCall[Any], *, key: str = "", delay: float = 0) -> str:
        raise NotImplementedError

    def defer(self, session: AsyncSession, call: JobCall[Any], *, key: str = "", delay: float = 0) -> None:
        async def note() -> None:
            self.calls.append(call)
            self.keys.append(key)

        after_commit(session, note)

    @property
    def emails(self) -> list[Mapping[str, str]]:
        return [call.arguments[0] for call in self.calls if call.job.name == "mail.send"]
