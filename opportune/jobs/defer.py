"""Queueing jobs: `defer` in a transaction, `JobQueue.enqueue` without one."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.jobs.job import JobCall, JobDefinition


class JobQueue(ABC):
    """The queue of a site, `app.state.jobs`; every session knows it as `session.info["jobs"]`."""

    jobs: Mapping[str, JobDefinition[Any]] = MappingProxyType({})
    """The jobs of installed features, by name."""

    @abstractmethod
    async def enqueue(self, call: JobCall[Any], *, key: str = "", delay: float = 0) -> str:
        """Queue a call and give its id; it is on disk when this returns.

        A second call with the same key is the first one: nothing new is queued. `delay` is in seconds.

        Raises:
            LookupError: no installed feature lists the job.
        """

    @abstractmethod
    def defer(self, session: AsyncSession, call: JobCall[Any], *, key: str = "", delay: float = 0) -> None:
        """Queue a call in the transaction of this session, as `opportune.jobs.defer` does."""


def defer(session: AsyncSession, call: JobCall[Any], *, key: str = "", delay: float = 0) -> None:
    """Queue a call in the transaction of this writing session: the change and the job are there both, or neither.

    Raises:
        LookupError: no installed feature lists the job.
    """
    jobs: JobQueue = session.info["jobs"]
    jobs.defer(session, call, key=key, delay=delay)
