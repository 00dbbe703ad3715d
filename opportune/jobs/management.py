"""Management of jobs: list, cancel, retry and delete them."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, ScalarSelect, Select, Text, case, delete, func, literal_column, or_, select, update
from sqlalchemy import cast as as_text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.db.models.row_ids import MAX_ID
from opportune.db.queries.batches import delete_in_batches
from opportune.db.queries.dialects import database_time, read_database_time, upsert
from opportune.errors import OperatorError
from opportune.jobs import JobCall
from opportune.jobs.models import (
    ENDED_STATES,
    IS_HELD,
    IS_RUNNING,
    IS_WAITING,
    Job,
    JobState,
    PausedQueue,
    waiting_state,
)
from opportune.project.current import OPPMAN

MAX_COUNTED_JOBS = 10_000
MISSING_AFTER = timedelta(minutes=1)
"""Time after which a missing job counts as cancelled: ended jobs are deleted."""
CAN_BE_RETRIED = (JobState.FAILED, JobState.CANCELLED)
NOT_STARTED = (JobState.HELD, JobState.WAITING)
CAN_BE_CANCELLED = (*NOT_STARTED, JobState.RUNNING)
CAN_BE_DELETED = (JobState.DONE, JobState.CANCELLED)
"""Failed jobs are kept for inspection."""


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
        raise OperatorError(f"There is no job {job_id}. List them: {OPPMAN} jobs list")
    return job


async def retry(session: AsyncSession, job_id: int) -> None:
    """Queue a failed or cancelled job again, with its attempts reset. Steps that the job has recorded are skipped.

    Raises:
        OperatorError: The job does not exist, or has neither failed nor been cancelled.
    """
    advice = "Only failed and cancelled jobs can be retried."
    await _change_job(session, job_id, CAN_BE_RETRIED, _values_for_retry(session), advice)


async def retry_failed(session: AsyncSession, name: str = "") -> int:
    """Retry all failed jobs, or those with this name. Return their number."""
    statement = update(Job).where(col(Job.state) == JobState.FAILED).values(_values_for_retry(session))
    if name:
        statement = statement.where(col(Job.name) == name)
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount


async def delete_ended(database: Database) -> int:
    """Delete completed and cancelled jobs, but no failed ones, and return their number."""
    return await delete_in_batches(database, Job, col(Job.state).in_(CAN_BE_DELETED))


async def count_by_state(session: AsyncSession) -> Mapping[JobState, int]:
    """Return the number of jobs in each state, at most `MAX_COUNTED_JOBS`, so that a backlog costs little."""
    counts = await session.execute(select(*(_bounded_count(state) for state in JobState)))
    return dict(zip(JobState, counts.one(), strict=True))


async def find_oldest_due(session: AsyncSession, names: Collection[str]) -> datetime | None:
    """Return the time of the oldest waiting job with one of these names that should have started."""
    is_due = IS_WAITING & (col(Job.due_at) <= database_time(session)) & col(Job.name).in_(names)
    return cast("datetime | None", await session.scalar(select(func.min(col(Job.due_at))).where(is_due)))


async def were_cancelled(session: AsyncSession, queued: Sequence[tuple[JobCall[Any], datetime]]) -> list[bool]:
    """Return for each call whether the newest job with its name and arguments was cancelled, or is missing.

    Done jobs do not count, because their arguments are cleared. Read the results of the jobs afterwards: a job may
    end before this reads it.

    Args:
        session: The session that reads.
        queued: Jobs with their arguments, each with a time before it was queued.
    """
    if not queued:
        return []
    arguments = as_text(col(Job.arguments), Text)
    keys = [(call.job.name, json.dumps(call.arguments)) for call, _queued_at in queued]
    names, texts = zip(*keys, strict=True)
    is_one = col(Job.name).in_(names) & arguments.in_(texts)
    rows = await session.execute(select(col(Job.name), arguments, col(Job.state)).where(is_one).order_by(col(Job.id)))
    states = {(name, text): state for name, text, state in rows}
    missing_before = await read_database_time(session) - MISSING_AFTER
    return [
        states[key] == JobState.CANCELLED if key in states else queued_at < missing_before
        for key, (_call, queued_at) in zip(keys, queued, strict=True)
    ]


def _bounded_count(state: JobState) -> ScalarSelect[int]:
    # The text of the condition is the same as in the partial indexes.
    is_ended = (col(Job.ended_at).is_not(None),) if state in ENDED_STATES else ()
    jobs: Select[Any] = select(literal_column("1")).select_from(Job)
    in_state = jobs.where(literal_column(f"state = '{state}'"), *is_ended).limit(MAX_COUNTED_JOBS)
    return select(func.count()).select_from(in_state.subquery()).scalar_subquery()


async def cancel(session: AsyncSession, job_id: int) -> None:
    """Cancel a job. A running job ends within seconds, or at its next step.

    Raises:
        OperatorError: The job does not exist, or has already ended.
    """
    is_not_started = col(Job.state).in_(NOT_STARTED)
    values = {
        "cancel_asked": True,
        "state": case((is_not_started, JobState.CANCELLED), else_=col(Job.state)),
        "ended_at": case((is_not_started, database_time(session)), else_=None),
    }
    advice = "Only waiting and running jobs can be cancelled."
    await _change_job(session, job_id, CAN_BE_CANCELLED, values, advice)


async def pause(session: AsyncSession, queue: str) -> None:
    """Let workers start no further job of a queue. Running jobs continue."""
    await session.execute(upsert(session, PausedQueue).values(name=queue, paused_at=utc_now()).on_conflict_do_nothing())


async def resume(session: AsyncSession, queue: str) -> bool:
    """Let workers start jobs of a queue again. Return whether it was paused."""
    deletion = delete(PausedQueue).where(col(PausedQueue.name) == queue).returning(col(PausedQueue.name))
    return (await session.execute(deletion)).scalar_one_or_none() is not None


@dataclass(frozen=True)
class QueueState:
    """Jobs of a queue by state, and since when it is paused."""

    name: str
    held: int
    waiting: int
    running: int
    oldest_due_at: datetime | None
    """Due time of the first job that waits."""
    paused_at: datetime | None


async def read_queues(session: AsyncSession, names: Collection[str]) -> list[QueueState]:
    """Read the state of these queues, and of other queues with jobs."""
    paused = {queue.name: queue.paused_at for queue in await session.scalars(select(PausedQueue))}
    number = func.count()
    first_due_at = func.min(col(Job.due_at))
    query = select(
        col(Job.queue),
        number.filter(IS_HELD),
        number.filter(IS_WAITING),
        number.filter(IS_RUNNING),
        first_due_at.filter(IS_WAITING),
    )
    rows = await session.execute(query.where(or_(IS_HELD, IS_WAITING, IS_RUNNING)).group_by(col(Job.queue)))
    states = {name: QueueState(name, 0, 0, 0, None, paused.get(name)) for name in (*names, *paused)}
    for name, held, waiting, running, oldest_due_at in rows:
        states[name] = QueueState(name, held, waiting, running, oldest_due_at, paused.get(name))
    return [states[name] for name in sorted(states)]


async def count_running(session: AsyncSession, queue: str) -> int:
    return await session.scalar(select(func.count()).where(IS_RUNNING, col(Job.queue) == queue)) or 0


def _values_for_retry(session: AsyncSession) -> dict[str, object]:
    due_at = database_time(session)
    return {"state": waiting_state(), "attempt": 0, "due_at": due_at, "cancel_asked": False, "ended_at": None}


async def _change_job(
    session: AsyncSession, job_id: int, states: Sequence[JobState], values: dict[str, object], advice: str
) -> None:
    """Change a job that is in one of these states.

    Raises:
        OperatorError: The job does not exist, or is in another state.
    """
    job = await find_job(session, job_id)
    condition = (col(Job.id) == job_id) & col(Job.state).in_(states)
    updated = await session.execute(update(Job).where(condition).values(values).returning(col(Job.id)))
    if updated.scalar_one_or_none() is None:
        raise OperatorError(f"Job {job_id} is {job.state}. {advice}")
