"""The job that runs a tool call of a waiting answer."""

from collections.abc import Iterable
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.errors import OperatorError
from opportune.jobs import JobContext, defer, job
from opportune.jobs.management import cancel
from opportune.jobs.models import ENDED_STATES, Job

UNLIMITED_ATTEMPTS = 1_000_000
"""The job counts its attempts itself, because the answer needs a result after the last one."""


@job("answers.run_tool", attempts=UNLIMITED_ATTEMPTS)
async def run_tool(run: JobContext, answer_id: int, index: int) -> None:
    await run.tool_jobs.run(run, answer_id, index)


def job_key(answer_id: int, index: int) -> str:
    return f"answers:{answer_id}:{index}"


def queue_job(session: AsyncSession, answer_id: int, index: int) -> None:
    """Queue the job of a call once, in the transaction in which its answer begins to wait."""
    defer(session, run_tool(answer_id, index), key=job_key(answer_id, index))


async def cancel_jobs(session: AsyncSession, answer_id: int, indexes: Iterable[int]) -> None:
    keys = [job_key(answer_id, index) for index in indexes]
    if not keys:
        return
    ids = await session.scalars(select(col(Job.id)).where(col(Job.key).in_(keys)))
    for job_id in ids.all():
        with suppress(OperatorError):  # it has just ended
            await cancel(session, job_id)


async def has_lost_job(session: AsyncSession, answer_id: int, index: int) -> bool:
    """Return True if the job of a call without a result has ended: it was cancelled before it ran."""
    state = await session.scalar(select(col(Job.state)).where(col(Job.key) == job_key(answer_id, index)))
    return state in ENDED_STATES
