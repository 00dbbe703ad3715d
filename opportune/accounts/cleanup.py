"""Daily deletion of expired sessions, tokens, rate limit counts and old events."""

from datetime import timedelta

from sqlmodel import col

from opportune.accounts.models import AccountEvent, ApiToken, Attempt, Session
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.db.queries.batches import delete_in_batches
from opportune.jobs import JobContext, job


async def delete_expired(database: Database, settings: Settings) -> dict[str, int]:
    """Delete expired rows, and return the number of deleted rows by table."""
    now = utc_now()
    return {
        "sessions": await delete_in_batches(database, Session, col(Session.expires_at) <= now),
        "tokens": await delete_in_batches(database, ApiToken, col(ApiToken.expires_at) <= now),
        "attempts": await delete_in_batches(database, Attempt, col(Attempt.ends_at) <= now),
        "events": await _delete_old_events(database, settings),
    }


async def _delete_old_events(database: Database, settings: Settings) -> int:
    if not settings.account_event_days:
        return 0
    cutoff = utc_now() - timedelta(days=settings.account_event_days)
    return await delete_in_batches(database, AccountEvent, col(AccountEvent.created_at) <= cutoff)


@job("accounts.sweep", schedule="17 3 * * *")
async def delete_expired_daily(run: JobContext) -> None:
    await delete_expired(run.database, run.settings)
