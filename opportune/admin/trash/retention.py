"""Daily permanent deletion of rows that have been in the trash for `keep_deleted_days`."""

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta

from sqlalchemy import inspect, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.db.errors import is_outage
from opportune.db.models.model import tables_with
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.sessions.trash import purge, with_deleted
from opportune.errors import FieldErrors, OperatorError, Refused
from opportune.jobs import JobContext, job

logger = logging.getLogger(__name__)

ROWS_PER_TRANSACTION = 100


@job("admin.empty_trash", schedule="37 3 * * *")
async def empty_trash_daily(run: JobContext) -> None:
    await empty_trash(run.database, tables_with(SoftDelete))


async def empty_trash(database: Database, models: Iterable[type[SoftDelete]]) -> int:
    """Delete expired rows permanently, with their hooks, and return their number. Rows in use stay in the trash.

    Raises:
        OperatorError: Hooks of some rows have failed. The other rows were deleted.
    """
    count = 0
    failed = set[str]()
    for model in models:
        last_key: object = None
        while True:
            async with database.writer() as session:
                rows = await _next_rows(session, model, last_key)
                count += sum([await _purge(session, row, failed) for row in rows])
            if len(rows) < ROWS_PER_TRANSACTION:
                break
            last_key = inspect(rows[-1], raiseerr=True).identity[0]
    if failed:
        raise OperatorError(f"Rows stay in the trash, because their hooks fail (see the log): {', '.join(failed)}.")
    return count


async def _next_rows(session: AsyncSession, model: type[SoftDelete], last_key: object) -> Sequence[SoftDelete]:
    """Lock and return the next expired rows, in the order of their keys."""
    if model.keep_deleted_days is None:
        return ()
    (key, *_) = inspect(model, raiseerr=True).primary_key
    cutoff = utc_now() - timedelta(days=model.keep_deleted_days)
    rows = select(model).where(col(model.deleted_at) <= cutoff).order_by(key).limit(ROWS_PER_TRANSACTION)
    remaining = rows if last_key is None else rows.where(key > last_key)
    locked = remaining.with_for_update(skip_locked=True)  # a user may be restoring a row
    return (await session.scalars(with_deleted(locked))).all()


async def _purge(session: AsyncSession, row: SoftDelete, failed: set[str]) -> bool:
    """Delete a row permanently. Return False if a hook or referring row prevents it. `failed` gets names of models."""
    name = type(row).__name__
    try:
        async with session.begin_nested():
            await purge(session, row)
    except (FieldErrors, IntegrityError, Refused):
        logger.info("%s stays in the trash, because a hook or a referring row prevents its deletion.", name)
    except Exception as error:
        if is_outage(error):
            raise
        logger.exception("deletion of %s", name)
        failed.add(name)
    else:
        return True
    return False
