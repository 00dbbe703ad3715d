"""Management of jobs: list, cancel, retry and delete them."""

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


async def newest_jobs(session: AsyncSession, state: JobState | None, limit: int) -> Sequence[Job]:
    conditions = () if state is None else (col(Job.state) == state,)
    return (await session.scalars(select(Job).where(*conditions).order_by(col(Job.id).desc()).limit(limit))).all()


async def find_job(session: AsyncSession, job_id: int) -> Job:
    """Find a job by its id.

    Raises:
        OperatorError: The job does not exist.
    """
    job = await session.get(Job, job_id) if 0 < job_id <= MAX_ID else None
    if job is None:
        raise OperatorError(f"There is no job {job_id}. List them: python3 oppman.py jobs list")
    return job


async def retry(session: AsyncSession, job_id: int) -> None:
    """Queue a failed or cancelled job again, with its attempts reset. Steps that the job has recorded are skipped.

    Raises:
        OperatorError: The job does not exist, or has neither failed nor been cancelled.
    """
    if not await _update(session, job_id, CAN_BE_RETRIED, _values_for_retry()):
        job = await find_job(session, job_id)
        raise OperatorError(f"Job {job_id} is {job.state}. Only failed and cancelled jobs can be retried.")


async def retry_failed(session: AsyncSession, name: str = "") -> int:
    """Retry all failed jobs, or those with this name. Return their number."""
    statement = update(Job).where(col(Job.state) == JobState.FAILED).values(_values_for_retry())
    if name:
        statement = statement.where(col(Job.name) == name)
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount


async def delete_ended(database: Database) -> int:
    """Delete completed and cancelled jobs, and return their number. Failed jobs are kept for inspection."""
    return await delete_in_batches(database, Job, col(Job.state).in_((JobState.DONE, JobState.CANCELLED)))


async def count_by_state(session: AsyncSession) -> Mapping[JobState, int]:
    """Return the number of jobs in each state."""
    rows = await session.execute(select(col(Job.state), func.count()).group_by(col(Job.state)))
    counts_by_state = {JobState(state): count for state, count in rows}
    return {state: counts_by_state.get(state, 0) for state in JobState}


async def cancel(session: AsyncSession, job_id: int) -> None:
    """Cancel a job. A running job ends within seconds, or at its next step.

    Raises:
        OperatorError: The job does not exist, or has already ended.
    """
    is_waiting = col(Job.state) == JobState.WAITING
    values = {
        "cancel_asked": True,
        "state": case((is_waiting, JobState.CANCELLED), else_=col(Job.state)),
        "ended_at": case((is_waiting, utc_now()), else_=None),
    }
    if not await _update(session, job_id, CAN_BE_CANCELLED, values):
        job = await find_job(session, job_id)
        raise OperatorError(f"Job {job_id} is {job.state}. Only waiting and running jobs can be cancelled.")


def _values_for_retry() -> dict[str, object]:
    return {"state": JobState.WAITING, "attempt": 0, "due_at": utc_now(), "cancel_asked": False, "ended_at": None}


async def _update(session: AsyncSession, job_id: int, states: Sequence[JobState], values: dict[str, object]) -> bool:
    """Update a job that is in one of these states, and return whether it was."""
    await find_job(session, job_id)
    condition = (col(Job.id) == job_id) & col(Job.state).in_(states)
    updated = await session.execute(update(Job).where(condition).values(values).returning(col(Job.id)))
    return updated.scalar_one_or_none() is not None
