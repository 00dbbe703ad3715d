"""Last runs of scheduled jobs."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.models.model import utc_now
from opportune.jobs.models import LastRun


async def record_run(session: AsyncSession, name: str, note: str = "", error: str = "") -> None:
    """Store the result of a run: a note about its success, or its error."""
    run = await find_last_run(session, name)
    if error:
        run.failed_at, run.error = utc_now(), error[:500]
    else:
        run.succeeded_at, run.note = utc_now(), note[:200]
    session.add(run)


async def find_last_run(session: AsyncSession, name: str) -> LastRun:
    """Return the row of a job, or a new one that is not stored yet."""
    return await session.get(LastRun, name) or LastRun(name=name)
