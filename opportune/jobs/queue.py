"""Queueing of jobs: `defer` in a transaction, `JobQueue.enqueue` without one."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.jobs.declaration import JobCall, JobDefinition


class JobQueue(ABC):
    """The job queue of a site, at `app.state.jobs` and `session.info["jobs"]`."""

    jobs: Mapping[str, JobDefinition[Any]] = MappingProxyType({})
    """The jobs of installed features, by name."""

    @abstractmethod
    async def enqueue(self, call: JobCall[Any], *, key: str = "", group: str = "", delay: float = 0) -> str:
        """Queue a call in its own transaction, and return its id.

        Args:
            call: The job with its arguments.
            key: Unique key. A second call with the same key returns the id of the first.
            group: Group whose jobs run one after the other, such as `customer 7`. Groups take turns.
            delay: Seconds until the job is due.

        Raises:
            LookupError: No installed feature lists the job.
        """

    @abstractmethod
    def defer(
        self, session: AsyncSession, call: JobCall[Any], *, key: str = "", group: str = "", delay: float = 0
    ) -> None:
        """Queue a call in the transaction of this session, as `opportune.jobs.defer` does."""


def defer(session: AsyncSession, call: JobCall[Any], *, key: str = "", group: str = "", delay: float = 0) -> None:
    """Queue a call in the transaction of this session. If the transaction is rolled back, so is the job.

    Args:
        session: A writing session.
        call: The job with its arguments.
        key: Unique key. A second call with the same key is not queued.
        group: Group whose jobs run one after the other, such as `customer 7`. Groups take turns.
        delay: Seconds until the job is due.

    Raises:
        LookupError: No installed feature lists the job, or the session is not one of the framework.
    """
    queue: JobQueue | None = session.info.get("jobs")
    if queue is None:
        raise LookupError("This session cannot queue jobs. Take a WriteSession of opportune.db in the route.")
    queue.defer(session, call, key=key, group=group, delay=delay)
