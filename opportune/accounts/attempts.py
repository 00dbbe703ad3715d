"""Counts of rate limits in the database. Processes share them, and they survive a restart."""

import hmac
import math
import random
from datetime import timedelta

from sqlalchemy import Integer, bindparam, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import UTCDateTime, col

from opportune.accounts.models import Attempt
from opportune.config.settings import Settings
from opportune.config.signing import derived_key
from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.web.rate_limit import Hit, TooManyRequests

MAX_DELETED_AT_ONCE = 1_000
CLEANUP_EVERY_HITS = 50
"""On average, one of this many hits also deletes expired counts, so that the table does not grow."""
MAX_DURATIONS = 2
"""Maximum time until a count ends, in durations of its rate limit.

It usually ends within one duration, but a request may wait for the lock of the row. A count that ends later was written
before the clock was set back, so it is ignored.
"""

# Plain SQL, because SQLAlchemy compiles its own "on conflict" again for each execution.
INCREASE_COUNT = (
    text("""
    INSERT INTO accounts_attempt (key, count, ends_at) VALUES (:key, 1, :ends_at)
    ON CONFLICT (key) DO UPDATE SET
        count = CASE WHEN accounts_attempt.ends_at BETWEEN :now AND :latest THEN accounts_attempt.count + 1 ELSE 1 END,
        ends_at = CASE WHEN accounts_attempt.ends_at BETWEEN :now AND :latest THEN accounts_attempt.ends_at
            ELSE :ends_at END
    RETURNING count, ends_at
    """)
    .bindparams(*(bindparam(name, type_=UTCDateTime) for name in ("now", "latest", "ends_at")))
    .columns(count=Integer, ends_at=UTCDateTime)
)


class DatabaseStorage:
    """A `RateLimitStorage` in the site's database."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def hit(self, *hits: Hit) -> None:
        """Count hits in one transaction.

        Raises:
            TooManyRequests: One of the limits is exceeded. Then no hit counts.
        """
        async with self._database.writer(is_change=False) as session:
            for hit in hits:
                now = utc_now()
                duration = timedelta(seconds=hit.rate_limit.seconds)
                times = {"now": now, "latest": now + MAX_DURATIONS * duration, "ends_at": now + duration}
                count, ends_at = (await session.execute(INCREASE_COUNT, {"key": self.key(hit), **times})).one()
                if count > hit.rate_limit.limit:
                    raise TooManyRequests(_seconds(ends_at - now))  # rolls back, so that refused hits do not count
            if random.randrange(CLEANUP_EVERY_HITS) == 0:  # noqa: S311 - not used for a secret
                await _delete_expired(session)

    async def check(self, *hits: Hit) -> None:
        limits = {self.key(hit): hit.rate_limit for hit in hits}
        async with self._database.reader(fresh=True) as session:
            now = utc_now()
            query = select(Attempt).where(col(Attempt.key).in_(limits), col(Attempt.ends_at) > now)
            for attempt in await session.scalars(query):
                limit = limits[attempt.key]
                remaining = attempt.ends_at - now
                if attempt.count >= limit.limit and remaining <= MAX_DURATIONS * timedelta(seconds=limit.seconds):
                    raise TooManyRequests(_seconds(remaining))

    async def refund(self, session: AsyncSession, *hits: Hit) -> None:
        for hit in hits:  # in the same order as in `hit()`, to avoid deadlocks
            counted = update(Attempt).where(col(Attempt.key) == self.key(hit), col(Attempt.count) > 0)
            await session.execute(counted.values(count=col(Attempt.count) - 1))

    async def close(self) -> None:
        """Do nothing, because the caller closes the database."""

    def key(self, hit: Hit) -> str:
        """Return the hashed key of a count, so that the table contains no IP addresses or e-mails."""
        secret = derived_key(self._settings, "accounts: attempts").encode()
        return hmac.digest(secret, f"{hit.rate_limit.action}\n{hit.subject}".encode(errors="replace"), "sha256").hex()


def _seconds(duration: timedelta) -> int:
    return max(1, math.ceil(duration.total_seconds()))


async def _delete_expired(session: AsyncSession) -> None:
    """Delete up to `MAX_DELETED_AT_ONCE` expired counts."""
    expired = select(col(Attempt.id)).where(col(Attempt.ends_at) <= utc_now()).limit(MAX_DELETED_AT_ONCE)
    # Skip the counts that other transactions are changing, instead of waiting for them.
    await session.execute(delete(Attempt).where(col(Attempt.id).in_(expired.with_for_update(skip_locked=True))))
