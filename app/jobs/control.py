"""What people do with jobs: look at them, stop them, have them tried again."""

from collections.abc import Sequence

from sqlalchemy import case, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.db.model import LARGEST_ID, utc_now
from app.core.errors import OperatorError
from app.jobs.models import QueuedJob, State


async def newest(session: AsyncSession, state: State | None, most: int) -> Sequence[QueuedJob]:
    wanted = () if state is None else (col(QueuedJob.state) == state,)
    return (
        await session.scalars(select(QueuedJob).where(*wanted).order_by(col(QueuedJob.id).desc()).limit(most))
    ).all()


async def find(session: AsyncSession, job_id: int) -> QueuedJob:
    """Raises OperatorError if there is none."""
    job = await session.get(QueuedJob, job_id) if 0 < job_id <= LARGEST_ID else None
    if job is None:
        raise OperatorError(f"There is no job {job_id}. List them: python3 oppman.py jobs list")
    return job


async def retry(session: AsyncSession, job_id: int) -> None:
    """Queue a job again, with all its tries. What it has written already is not written again.

    Raises:
        OperatorError: it has neither failed nor been cancelled.
    """
    afresh = {"state": State.WAITING, "attempt": 0, "due_at": utc_now(), "cancel_asked": False, "ended_at": None}
    if not await _change(session, job_id, (State.FAILED, State.CANCELLED), afresh):
        job = await find(session, job_id)
        raise OperatorError(f"Job {job_id} is {job.state}: only one that failed or was cancelled can be tried again.")


async def cancel(session: AsyncSession, job_id: int) -> None:
    """End a job that waits now, and one that runs within seconds, or at its next step.

    Raises:
        OperatorError: it has ended already.
    """
    waits = col(QueuedJob.state) == State.WAITING
    ending = {
        "cancel_asked": True,
        "state": case((waits, State.CANCELLED), else_=col(QueuedJob.state)),
        "ended_at": case((waits, utc_now()), else_=None),
    }
    if not await _change(session, job_id, (State.WAITING, State.RUNNING), ending):
        job = await find(session, job_id)
        raise OperatorError(f"Job {job_id} is {job.state}: there is nothing to cancel.")


async def _change(session: AsyncSession, job_id: int, states: Sequence[State], values: dict[str, object]) -> bool:
    await find(session, job_id)
    chosen = (col(QueuedJob.id) == job_id) & col(QueuedJob.state).in_(states)
    changed = await session.execute(update(QueuedJob).where(chosen).values(values).returning(col(QueuedJob.id)))
    return changed.scalar_one_or_none() is not None
