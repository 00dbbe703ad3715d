"""Results of submitted forms, in the table of the rate limit counts. Processes share them."""

from datetime import timedelta

from sqlalchemy import bindparam, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import UTCDateTime, col

from opportune.accounts.models import Attempt
from opportune.db.database import Database
from opportune.db.drivers.pool import DEFERRED
from opportune.db.models.model import utc_now
from opportune.web.middleware.submissions import COMMITTED, FAILED

PROCESSING_SECONDS = 60
"""Time after which another process may claim the form, in case the first process died."""
RESULT_SECONDS = 3600
"""Time for which a result is stored."""
# Plain SQL, because SQLAlchemy compiles its own "on conflict" again for each execution.
CLAIM = text("""
    INSERT INTO accounts_attempt (key, count, ends_at, result) VALUES (:key, 1, :ends_at, '')
    ON CONFLICT (key) DO UPDATE SET ends_at = :ends_at, result = '' WHERE accounts_attempt.ends_at <= :now
    RETURNING id
""").bindparams(*(bindparam(name, type_=UTCDateTime) for name in ("now", "ends_at")))
MARK_COMMITTED = (
    update(Attempt)
    .where(col(Attempt.key) == bindparam("form"), col(Attempt.result) == "")
    .values(result=COMMITTED, ends_at=bindparam("end"))
    .execution_options(synchronize_session=False, **{DEFERRED: True})
)
FIND_RESULT = select(col(Attempt.result)).where(
    col(Attempt.key) == bindparam("key"), col(Attempt.ends_at) > bindparam("now", type_=UTCDateTime)
)


class DatabaseSubmissions:
    """A `SubmissionStore` in the site's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, key: str) -> bool:
        now = utc_now()
        values = {"key": key, "now": now, "ends_at": now + timedelta(seconds=PROCESSING_SECONDS)}
        async with self._database.writer() as session:
            return (await session.execute(CLAIM, values)).first() is not None

    async def find(self, key: str) -> str | None:
        row = await self._database.lookup(FIND_RESULT, {"key": key, "now": utc_now()})
        return row[0] if row else None

    async def complete(self, key: str, result: str) -> None:
        ends_at = utc_now() + timedelta(seconds=RESULT_SECONDS)
        change = update(Attempt).where(col(Attempt.key) == key).values(result=result, ends_at=ends_at)
        async with self._database.writer() as session:
            await session.execute(change)

    async def mark_committed(self, session: AsyncSession, key: str) -> None:
        await session.execute(MARK_COMMITTED, {"form": key, "end": utc_now() + timedelta(seconds=RESULT_SECONDS)})

    async def release(self, key: str, *, even_if_committed: bool) -> None:
        is_form = col(Attempt.key) == key
        result = col(Attempt.result)
        async with self._database.writer() as session:
            if not even_if_committed:
                await session.execute(update(Attempt).where(is_form, result == COMMITTED).values(result=FAILED))
            await session.execute(delete(Attempt).where(is_form, result.in_(("", COMMITTED))))
