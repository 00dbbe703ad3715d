"""Insertion of jobs in the transaction of a session."""

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, insert, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db.queries.dialects import database_time, upsert
from opportune.jobs.declaration import JobCall
from opportune.jobs.models import Job, JobState
from opportune.services.trace_context import traceparent


async def insert_job(
    session: AsyncSession,
    call: JobCall[Any],
    key: str,
    *,
    group: str = "",
    delay: float = 0,
    due_at: datetime | None = None,
) -> int:
    """Queue a job in the transaction of this session. Return its id, or the id of the job with the same key.

    Args:
        session: A writing session.
        call: The job with its arguments.
        key: Unique key; may be empty.
        group: Group whose jobs run one after the other; may be empty.
        delay: Seconds until the job is due, by the clock of the database.
        due_at: Time at which the job is due, instead of `delay`.
    """
    job = Job(
        name=call.job.name,
        arguments=list(call.arguments),
        queue=call.job.queue,
        priority=call.job.priority,
        state=JobState.HELD if group else JobState.WAITING,
        group_name=group or None,
        group_limit=call.job.group_limit,
        key=key or None,
        traceparent=traceparent.get() or None,
    )
    due: Any = due_at or database_time(session, timedelta(seconds=delay))
    values = job.model_dump(exclude={"id", "due_at"})
    table = cast("Table", inspect(Job).local_table)  # faster than an insert into the model
    if not key:
        insertion = insert(table).values(due_at=due).returning(table.c.id)
        return int((await session.execute(insertion, values)).scalar_one())
    insertion = upsert(session, table).values(due_at=due).on_conflict_do_nothing(index_elements=["key"])
    job_id: int | None = (await session.execute(insertion.returning(table.c.id), values)).scalar_one_or_none()
    if job_id is not None:
        return job_id
    return (await session.scalars(select(col(Job.id)).where(col(Job.key) == key))).one()
