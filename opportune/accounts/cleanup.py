"""Expired sessions, tokens, rate limit counts and old events."""

from sqlmodel import col

from opportune.accounts.models import AccountEvent, ApiToken, Attempt, Session
from opportune.config.settings import Settings
from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.db.queries.batches import older_than
from opportune.feature import Cleanup
from opportune.jobs.cleanup import clean_up

CLEANUPS = {
    "sessions": Cleanup(Session, lambda _: col(Session.expires_at) <= utc_now()),
    "tokens": Cleanup(ApiToken, lambda _: col(ApiToken.expires_at) <= utc_now()),
    "attempts": Cleanup(Attempt, lambda _: col(Attempt.ends_at) <= utc_now()),
    "events": Cleanup(AccountEvent, lambda settings: older_than(AccountEvent.created_at, settings.account_event_days)),
}


async def delete_expired(database: Database, settings: Settings) -> dict[str, int]:
    """Delete expired rows, and return the number of deleted rows by table."""
    return dict(zip(CLEANUPS, await clean_up(database, settings, CLEANUPS.values()), strict=True))
