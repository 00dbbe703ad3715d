"""The database's side of jobs.

Every change of a running job has one winner: the row must still have the claim of the try that asks. Reads are fresh:
to a replica that lags, a new job would be missing and a living process dead.
"""

import secrets
from asyncio import CancelledError
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db.batches import delete_in_batches
from opportune.db.database import Database
from opportune.db.model import utc_now
from opportune.jobs.models import ENDED, QueuedJob, State

LEASE = timedelta(seconds=15)
"""Without a sign of life for so long a process is dead, and what it did is taken over."""
KEPT = {State.DONE: timedelta(days=7), State.CANCELLED: timedelta(days=7), State.FAILED: timedelta(days=30)}

FREE: dict[str, Any] = {"claim": None, "lease_until": None}


class Withdrawn(CancelledError):  # noqa: N818 - a kind of cancellation, and no error
    """This try is over: somebody has cancelled the job, or another process has taken it for dead and gone on.

    Like every cancellation it passes by `except Exception`.
    """


async def add(session: AsyncSession, name: str, arguments: Sequence[Any], key: str, due_at: datetime) -> int:
    """Queue a job in the transaction of this session and give its id, or that of the one with the same key."""
    new = QueuedJob(name=name, arguments=list(arguments), due_at=due_at, key=key or None)
    values = new.model_dump(exclude={"id"})
    if not key:
        return (await session.execute(insert(QueuedJob).values(values).returning(col(QueuedJob.id)))).scalar_one()
    from sqlalchemy.dialects import postgresql, sqlite  # noqa: PLC0415 - the other database's, at each start

    upsert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    once = upsert(QueuedJob).values(values).on_conflict_do_nothing(index_elements=["key"])
    added = (await session.execute(once.returning(col(QueuedJob.id)))).scalar_one_or_none()
    if added is not None:
        return added
    return (await session.scalars(select(col(QueuedJob.id)).where(col(QueuedJob.key) == key))).one()


async def hold(session: AsyncSession, job: QueuedJob) -> None:
    """Renew the lease; until this transaction ends, nobody else can take the job over.

    Raises:
        Withdrawn: the job is no longer this try's, or is to end.
    """
    renewal = update(QueuedJob).where(_held(job)).values(lease_until=utc_now() + LEASE)
    asked = (await session.execute(renewal.returning(col(QueuedJob.cancel_asked)))).scalar_one_or_none()
    if asked is not False:
        raise Withdrawn


def _held(*jobs: QueuedJob) -> ColumnElement[bool]:
    return tuple_(col(QueuedJob.id), col(QueuedJob.claim)).in_([(job.id, job.claim) for job in jobs])


class Queue:
    """The jobs of these names, for a process that does them. Others wait for a process that knows them."""

    def __init__(self, database: Database, names: Collection[str]) -> None:
        self.database = database
        self._known = col(QueuedJob.name).in_(sorted(names))

    async def claim(self, most: int) -> list[QueuedJob]:
        """Take what is due, and what dead processes have left: the longest due first."""
        now = utc_now()
        found = (
            select(col(QueuedJob.id)).where(self._known, self._free(now)).order_by(col(QueuedJob.due_at)).limit(most)
        )
        async with self.database.reader(fresh=True) as session:
            ids = (await session.scalars(found)).all()
        if not ids:  # looking has taken no lock
            return []
        changes = {
            "state": State.RUNNING,
            "attempt": col(QueuedJob.attempt) + 1,
            "claim": secrets.token_hex(16),
            "lease_until": now + LEASE,
            "started_at": now,
        }
        still_free = select(col(QueuedJob.id)).where(col(QueuedJob.id).in_(ids), self._free(now))
        unlocked = col(QueuedJob.id).in_(still_free.with_for_update(skip_locked=True))
        taking = update(QueuedJob).where(unlocked).values(changes).returning(QueuedJob)
        async with self.database.writer() as session:
            taken = (await session.scalars(taking, execution_options={"synchronize_session": False})).all()
        return sorted(taken, key=lambda job: job.due_at)

    @staticmethod
    def _free(now: datetime) -> ColumnElement[bool]:
        state = col(QueuedJob.state)
        return or_(
            and_(state == State.WAITING, col(QueuedJob.due_at) <= now),
            and_(state == State.RUNNING, col(QueuedJob.lease_until) < now),
        )

    async def next_due(self) -> datetime | None:
        """When there will be something to claim, as far as is known."""
        state = col(QueuedJob.state)
        waiting = select(func.min(col(QueuedJob.due_at))).where(self._known, state == State.WAITING)
        running = select(func.min(col(QueuedJob.lease_until))).where(self._known, state == State.RUNNING)
        async with self.database.reader(fresh=True) as session:
            times = [await session.scalar(query) for query in (waiting, running)]
        return min(filter(None, times), default=None)

    async def renew(self, jobs: Collection[QueuedJob]) -> set[int]:
        """Say that these go on, and learn which of them somebody has cancelled."""
        # A row that is locked is in a transaction of its own job, which has renewed it.
        free = select(col(QueuedJob.id)).where(_held(*jobs)).with_for_update(skip_locked=True)
        async with self.database.writer() as session:
            ids = (await session.scalars(free)).all()
            renewal = update(QueuedJob).where(col(QueuedJob.id).in_(ids)).values(lease_until=utc_now() + LEASE)
            rows = await session.execute(renewal.returning(col(QueuedJob.id), col(QueuedJob.cancel_asked)))
            return {job_id for job_id, cancel_asked in rows if cancel_asked}

    async def end(self, job: QueuedJob, state: State, error: str = "") -> None:
        # What is done is never done again: the links and addresses of a letter need not lie about any longer.
        forgotten: dict[str, Any] = {"arguments": []} if state == State.DONE else {}
        await self._change(job, {"state": state, "error": error, "ended_at": utc_now(), **forgotten, **FREE})

    async def postpone(self, job: QueuedJob, seconds: float, error: str) -> None:
        """Have it tried again later, unless somebody has cancelled it."""
        asked = col(QueuedJob.cancel_asked)
        state = case((asked, State.CANCELLED), else_=State.WAITING)
        later = {"state": state, "due_at": utc_now() + timedelta(seconds=seconds), "error": error}
        await self._change(job, {**later, "ended_at": case((asked, utc_now()), else_=None), **FREE})

    async def release(self, job: QueuedJob) -> None:
        """Give back what the end of this process has cut short: it counts as no try."""
        await self._change(job, {"state": State.WAITING, "attempt": job.attempt - 1, **FREE})

    async def report(self, job: QueuedJob, done: int, total: int, note: str) -> None:
        """Store how far it is.

        Raises:
            Withdrawn: see `hold`.
        """
        async with self.database.writer() as session:
            await hold(session, job)
            values = {"done": done, "total": total, "note": note}
            await session.execute(update(QueuedJob).where(_held(job)).values(values))

    async def _change(self, job: QueuedJob, values: dict[str, Any]) -> None:
        async with self.database.writer() as session:
            await session.execute(update(QueuedJob).where(_held(job)).values(values))

    async def prune(self) -> None:
        """Forget what ended long ago, with its steps."""
        for state in ENDED:
            is_old = (col(QueuedJob.state) == state) & (col(QueuedJob.ended_at) < utc_now() - KEPT[state])
            await delete_in_batches(self.database, QueuedJob, is_old)
