"""Throws out what is over: sessions, tokens and counts of attempts. Nobody could use them any more; they take room."""

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.accounts import attempts
from app.accounts.models import ApiToken, Session
from app.core.db.model import utc_now
from app.core.jobs import Run, job


async def sweep(session: AsyncSession) -> dict[str, int]:
    """Delete them, and say how many of each."""
    counts = {}
    for name, kind in (("sessions", Session), ("tokens", ApiToken)):
        gone = delete(kind).where(col(kind.expires_at) <= utc_now()).returning(col(kind.id))
        counts[name] = len((await session.execute(gone)).all())
    counts["attempts"] = await sweep_attempts(session)
    return counts


async def sweep_attempts(session: AsyncSession) -> int:
    total = 0
    while gone := await attempts.sweep(session):
        total += gone
    return total


@job("accounts.sweep", schedule="17 3 * * *")
async def sweep_daily(run: Run) -> None:
    await run.write(sweep)
