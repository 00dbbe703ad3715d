"""Where jobs wait to be done."""

from abc import ABC, abstractmethod
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.database import after_commit
from app.core.jobs.job import Call


class Jobs(ABC):
    @abstractmethod
    async def enqueue(self, call: Call[Any], *, key: str = "", delay: float = 0) -> str:
        """Queue a call and give its id; it is on disk when this returns.

        A second call with the same key is the first one: nothing new is queued. `delay` is in seconds.
        """


def defer(session: AsyncSession, call: Call[Any], *, key: str = "", delay: float = 0) -> None:
    """Queue a call when this session commits, and not at all when it does not.

    It is queued before the answer is sent: what was acknowledged is done, also after a crash.
    """
    jobs: Jobs = session.info["jobs"]

    async def queue() -> None:
        await jobs.enqueue(call, key=key, delay=delay)

    after_commit(session, queue)
