"""Throws out what is over: sessions, tokens and counts of attempts. Nobody could use them any more; they take room."""

from sqlmodel import col

from app.accounts.models import ApiToken, Attempt, Session
from app.core.db.batches import delete_in_batches
from app.core.db.database import Database
from app.core.db.model import utc_now
from app.core.jobs import Run, job


async def sweep(database: Database) -> dict[str, int]:
    """Delete them, and say how many of each."""
    now = utc_now()
    return {
        "sessions": await delete_in_batches(database, Session, col(Session.expires_at) <= now),
        "tokens": await delete_in_batches(database, ApiToken, col(ApiToken.expires_at) <= now),
        "attempts": await delete_in_batches(database, Attempt, col(Attempt.ends_at) <= now),
    }


@job("accounts.sweep", schedule="17 3 * * *")
async def sweep_daily(run: Run) -> None:
    await sweep(run.database)
