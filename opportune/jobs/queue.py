"""Queue of jobs: `defer` adds a call in a transaction, `JobQueue.enqueue` without one."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.errors import OperatorError
from opportune.jobs.declaration import JobCall, JobDefinition
from opportune.schemas.text import require_storable

MAX_KEY_LENGTH = 500
MAX_GROUP_LENGTH = 200
MAX_DELAY_SECONDS = 1e10
"""Three centuries. Databases refuse times after the year 9999."""


class JobQueue(ABC):
    """The job queue of a site, at `app.state.jobs` and `session.info["jobs"]`."""

    jobs: Mapping[str, JobDefinition[Any]] = MappingProxyType({})
    """The jobs of installed features, by name."""

    def check(self, call: JobCall[Any], key: str, group: str, delay: float) -> None:
        """Refuse a job that is not called or not listed, and options that cannot be stored. See `enqueue`."""
        if not isinstance(call, JobCall):
            raise OperatorError(f"A job is queued by its call, such as shrink_photo(7), not by {type(call).__name__}.")
        name = call.job.name
        if self.jobs and name not in self.jobs:
            raise LookupError(f"No installed feature lists the job {name}. Add it to jobs=Jobs([…]) of its feature.")
        try:
            require_storable(key + group)
            fits = len(key) <= MAX_KEY_LENGTH and len(group) <= MAX_GROUP_LENGTH and abs(delay) < MAX_DELAY_SECONDS
        except (TypeError, ValueError):
            fits = False
        if not fits:
            lengths = f"at most {MAX_KEY_LENGTH} and {MAX_GROUP_LENGTH} characters without NUL"
            raise OperatorError(f"Job {name}: key and group need {lengths}, and delay needs seconds, such as 0.5.")

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
            OperatorError: The job is not called, or an option cannot be stored, such as a key of 501 characters.
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
        OperatorError: The job is not called, or an option cannot be stored, such as a key of 501 characters.
    """
    queue: JobQueue | None = session.info.get("jobs")
    if queue is None:
        raise LookupError("This session cannot queue jobs. Take a WriteSession of opportune.db in the route.")
    queue.check(call, key, group, delay)
    queue.defer(session, call, key=key, group=group, delay=delay)
