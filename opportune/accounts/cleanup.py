"""Throws out what is over: sessions, tokens and counts of attempts. Nobody could use them any more; they take room."""

from sqlmodel import col

from opportune.accounts.models import ApiToken, Attempt, Session
from opportune.db.batches import delete_in_batches
from opportune.db.database import Database
from opportune.db.model import utc_now
from opportune.jobs import JobContext, job


async def delete_expired(database: Database) -> dict[str, int]:
    """Delete sessions, tokens and counts of attempts that are over, and say how many of each."""
    now = utc_now()
    return {
        "sessions": await delete_in_batches(database, Session, col(Session.expires_at) <= now),
        "tokens": await delete_in_batches(database, ApiToken, col(ApiToken.expires_at) <= now),
        "attempts": await delete_in_batches(database, Attempt, col(Attempt.ends_at) <= now),
    }


@job("accounts.sweep", schedule="17 3 * * *")
async def delete_expired_daily(run: JobContext) -> None:
    await delete_expired(run.database)
