"""Results of submitted forms, in the table of the rate limit counts. Processes share them."""

from datetime import timedelta

from sqlalchemy import bindparam, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import UTCDateTime, col

from opportune.accounts.models import Attempt
from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.db.drivers.pool import DEFERRED
from opportune.web.middleware.submissions import COMMITTED, FAILED

PROCESSING_TIME = timedelta(seconds=60)
"""Time after which another process may claim the form, in case the first process died."""
RESULT_TIME = timedelta(hours=1)
"""Time for which a result is stored."""
# Plain SQL, because SQLAlchemy compiles its own "on conflict" again for each execution.
CLAIM = text("""
    INSERT INTO accounts_attempt (key, count, ends_at, result) VALUES (:key, 1, :ends_at, '')
    ON CONFLICT (key) DO UPDATE SET ends_at = :ends_at, result = '' WHERE accounts_attempt.ends_at <= :now
    RETURNING id
""").bindparams(*(bindparam(name, type_=UTCDateTime) for name in ("now", "ends_at")))

FIND_RESULT = select(col(Attempt.result)).where(
    col(Attempt.key) == bindparam("key"), col(Attempt.ends_at) > bindparam("now", type_=UTCDateTime)
)
MARK_COMMITTED = (
    update(Attempt)
    .where(col(Attempt.key) == bindparam("form"), col(Attempt.result) == "")
    .values(result=COMMITTED, ends_at=bindparam("ends_at", type_=UTCDateTime))
)


class DatabaseSubmissions:
    """A `SubmissionStore` in the site's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, key: str) -> bool:
        async with self._database.writer() as session:
            now = utc_now()
            values = {"key": key, "now": now, "ends_at": now + PROCESSING_TIME}
            return (await session.execute(CLAIM, values)).first() is not None

    async def find(self, key: str) -> str | None:
        row = await self._database.lookup(FIND_RESULT, {"key": key, "now": utc_now()})
        return row[0] if row else None

    async def complete(self, key: str, result: str) -> None:
        async with self._database.writer() as session:
            values = {"result": result, "ends_at": utc_now() + RESULT_TIME}
            await session.execute(update(Attempt).where(col(Attempt.key) == key).values(values))

    async def mark_committed(self, session: AsyncSession, key: str) -> None:
        values = {"form": key, "ends_at": utc_now() + RESULT_TIME}
        options = {"synchronize_session": False, DEFERRED: True}
        await session.execute(MARK_COMMITTED, values, execution_options=options)

    async def release(self, key: str, *, even_if_committed: bool) -> None:
        is_form = col(Attempt.key) == key
        result = col(Attempt.result)
        async with self._database.writer() as session:
            if not even_if_committed:
                await session.execute(update(Attempt).where(is_form, result == COMMITTED).values(result=FAILED))
            await session.execute(delete(Attempt).where(is_form, result.in_(("", COMMITTED))))
