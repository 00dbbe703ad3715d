"""How jobs that have a schedule went last."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.models.model import utc_now
from opportune.jobs.models import LastRun


async def note_run(session: AsyncSession, name: str, note: str = "", error: str = "") -> None:
    """Store that a job has gone well, with what it says of itself, or why it has not."""
    run = await find_last_run(session, name)
    if error:
        run.failed_at, run.error = utc_now(), error[:500]
    else:
        run.succeeded_at, run.note = utc_now(), note[:200]
    session.add(run)


async def find_last_run(session: AsyncSession, name: str) -> LastRun:
    """The row of a job; an empty one, not stored yet, where it has never run."""
    return await session.get(LastRun, name) or LastRun(name=name)
