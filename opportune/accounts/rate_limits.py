"""How often something may be tried, counted in the database: for all processes together, and it survives a restart."""

import hmac
import math
import random
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.accounts.models import Attempt
from opportune.db.database import Database
from opportune.db.model import utc_now
from opportune.settings import Settings
from opportune.signing import derived_key
from opportune.web.rate_limit import TooManyRequests


class RateLimit(NamedTuple):
    what: str
    most: int
    seconds: int = 300


class Hit(NamedTuple):
    """A rule, and whom it counts."""

    rule: RateLimit
    who: str


MAX_DELETED_AT_ONCE = 1_000
CLEANUP_EVERY_HITS = 50
"""One count in so many sweeps, so that what strangers write never grows."""


async def hit(request: Request, *tries: Hit) -> None:
    """Count all of these, before the work that they are about: guesses at once do not slip past.

    Has a transaction of its own, which stays whatever comes of the request. A session of this request that has written
    must have ended its transaction: SQLite knows one writer.

    Raises:
        TooMany: one of them was one too many, and the work is not to be done. None of them has been counted.
    """
    database: Database = request.app.state.database
    async with database.writer() as session:
        for rule, who in tries:
            number, ends_at = await _add(session, _key(request.app.state.settings, rule, who), rule.seconds)
            if number > rule.most:
                raise TooManyRequests(max(1, math.ceil((ends_at - utc_now()).total_seconds())))
        if random.randrange(CLEANUP_EVERY_HITS) == 0:  # noqa: S311 - chance is for no secret
            await delete_expired(session)


async def refund(session: AsyncSession, settings: Settings, *tries: Hit) -> None:
    """Have these not counted: they were no guesses."""
    for rule, who in tries:  # one by one, in the order of `count`: two requests never wait for each other's
        mine = col(Attempt.key) == _key(settings, rule, who), col(Attempt.count) > 0
        await session.execute(update(Attempt).where(*mine).values(count=col(Attempt.count) - 1))


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


def _key(settings: Settings, rule: RateLimit, who: str) -> str:
    """Tells whoever reads the table neither addresses nor e-mails."""
    secret = derived_key(settings, "accounts: attempts").encode()
    return hmac.digest(secret, f"{rule.what}\n{who}".encode(errors="replace"), "sha256").hex()
