"""Managing jobs: list, cancel and retry them."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import CursorResult, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db.database import Database
from opportune.db.models.model import MAX_ID, utc_now
from opportune.db.queries.batches import delete_in_batches
from opportune.errors import OperatorError
from opportune.jobs.models import Job, JobState

CAN_BE_RETRIED = (JobState.FAILED, JobState.CANCELLED)
CAN_BE_CANCELLED = (JobState.WAITING, JobState.RUNNING)


async def newest(session: AsyncSession, state: JobState | None, most: int) -> Sequence[Job]:
    wanted = () if state is None else (col(Job.state) == state,)
    return (await session.scalars(select(Job).where(*wanted).order_by(col(Job.id).desc()).limit(most))).all()


async def find(session: AsyncSession, job_id: int) -> Job:
    """Find a job by its id.

    Raises:
        OperatorError: there is none.
    """
    job = await session.get(Job, job_id) if 0 < job_id <= MAX_ID else None
    if job is None:
        raise OperatorError(f"There is no job {job_id}. List them: python3 oppman.py jobs list")
    return job


async def retry(session: AsyncSession, job_id: int) -> None:
    """Queue an ended job again, with all its tries. What it has written already is not written again.

    Raises:
        OperatorError: it has neither failed nor been cancelled.
    """
    if not await _change(session, job_id, CAN_BE_RETRIED, _afresh()):
        job = await find(session, job_id)
        raise OperatorError(f"Job {job_id} is {job.state}: only one that failed or was cancelled can be tried again.")


async def retry_failed(session: AsyncSession, name: str = "") -> int:
    """Queue all failed jobs again, or those of this name, as `retry` does. Return their number."""
    failed = update(Job).where(col(Job.state) == JobState.FAILED).values(_afresh())
    if name:
        failed = failed.where(col(Job.name) == name)
    return cast("CursorResult[Any]", await session.execute(failed)).rowcount


async def delete_ended(database: Database) -> int:
    """Delete what is done or was cancelled, and give the number. What failed stays: somebody has to look at it."""
    return await delete_in_batches(database, Job, col(Job.state).in_((JobState.DONE, JobState.CANCELLED)))


async def counts(session: AsyncSession) -> Mapping[JobState, int]:
    """Count the jobs in each state."""
    rows = await session.execute(select(col(Job.state), func.count()).group_by(col(Job.state)))
    found = {JobState(state): number for state, number in rows}
    return {state: found.get(state, 0) for state in JobState}


async def cancel(session: AsyncSession, job_id: int) -> None:
    """End a job that waits now, and one that runs within seconds, or at its next step.

    Raises:
        OperatorError: it has ended already.
    """
    waits = col(Job.state) == JobState.WAITING
    ending = {
        "cancel_asked": True,
        "state": case((waits, JobState.CANCELLED), else_=col(Job.state)),
        "ended_at": case((waits, utc_now()), else_=None),
    }
    if not await _change(session, job_id, CAN_BE_CANCELLED, ending):
        job = await find(session, job_id)
        raise OperatorError(f"Job {job_id} is {job.state}: there is nothing to cancel.")


def _afresh() -> dict[str, object]:
    return {"state": JobState.WAITING, "attempt": 0, "due_at": utc_now(), "cancel_asked": False, "ended_at": None}


async def _change(session: AsyncSession, job_id: int, states: Sequence[JobState], values: dict[str, object]) -> bool:
    await find(session, job_id)
    chosen = (col(Job.id) == job_id) & col(Job.state).in_(states)
    changed = await session.execute(update(Job).where(chosen).values(values).returning(col(Job.id)))
    return changed.scalar_one_or_none() is not None
