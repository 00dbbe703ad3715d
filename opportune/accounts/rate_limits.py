"""Counts in the database: for all processes together, and they survive a restart."""

import hmac
import math
import random
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import Attempt
from opportune.db.database import Database
from opportune.db.model import utc_now
from opportune.settings import Settings
from opportune.signing import derived_key
from opportune.web.rate_limit import Hit, TooManyRequests

MAX_DELETED_AT_ONCE = 1_000
CLEANUP_EVERY_HITS = 50
"""One in so many hits, by chance, deletes what is over: what strangers write never grows."""


class DatabaseStorage:
    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def hit(self, *hits: Hit) -> None:
        async with self._database.writer() as session:
            for each in hits:
                number, ends_at = await _add(session, self.key(each), each.rate_limit.seconds)
                if number > each.rate_limit.limit:
                    raise TooManyRequests(max(1, math.ceil((ends_at - utc_now()).total_seconds())))
            if random.randrange(CLEANUP_EVERY_HITS) == 0:  # noqa: S311 - chance is for no secret
                await delete_expired(session)

    async def refund(self, session: AsyncSession, *hits: Hit) -> None:
        for each in hits:  # one by one, in the order of `hit`: two requests never wait for each other's
            mine = col(Attempt.key) == self.key(each), col(Attempt.count) > 0
            await session.execute(update(Attempt).where(*mine).values(count=col(Attempt.count) - 1))

    async def close(self) -> None:
        """Leave the database to whoever opened it."""

    def key(self, hit: Hit) -> str:
        """Tells whoever reads the table neither addresses nor e-mails."""
        secret = derived_key(self._settings, "accounts: attempts").encode()
        return hmac.digest(secret, f"{hit.rate_limit.action}\n{hit.who}".encode(errors="replace"), "sha256").hex()


async def delete_expired(session: AsyncSession) -> int:
    """Delete counts that are over, and say how many."""
    over = select(col(Attempt.id)).where(col(Attempt.ends_at) <= utc_now()).limit(MAX_DELETED_AT_ONCE)
    # Those that somebody counts at this moment stay.
    gone = delete(Attempt).where(col(Attempt.id).in_(over.with_for_update(skip_locked=True)))
    return len((await session.execute(gone.returning(col(Attempt.id)))).all())


async def _add(session: AsyncSession, key: str, seconds: int) -> tuple[int, datetime]:
    """Count one more in its span of time, or the first in a new one; gives the number and the span's end."""
    from sqlalchemy.dialects import postgresql, sqlite  # noqa: PLC0415 - the other database's, at each start

    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    now = utc_now()
    first = {"count": 1, "ends_at": now + timedelta(seconds=seconds)}
    is_over: ColumnElement[bool] = col(Attempt.ends_at) <= now
    again = {
        "count": case((is_over, 1), else_=col(Attempt.count) + 1),
        "ends_at": case((is_over, first["ends_at"]), else_=col(Attempt.ends_at)),
    }
    counted = insert(Attempt).values(key=key, **first).on_conflict_do_update(index_elements=["key"], set_=again)
    row = (await session.execute(counted.returning(col(Attempt.count), col(Attempt.ends_at)))).one()
    return row[0], row[1]
