"""Claims and leases of running jobs. The clock of the database decides when a lease ends.

A worker can change a running job only while the row has its claim.
"""

from asyncio import CancelledError
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Select, Update, any_, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db.queries.dialects import database_time
from opportune.jobs.models import ClaimedJob, Job

EARLIEST_TIME = datetime.min.replace(tzinfo=UTC)
LEASE_DURATION = timedelta(seconds=15)
"""Lease of a running job. After it expires, another worker takes over if the process is not alive on its machine."""


class JobCancelled(CancelledError):
    """Ends an attempt, because a user has cancelled the job or another process has taken it over.

    Like every cancellation, it is not caught by `except Exception`.
    """


def lease_end(dialect: str) -> ColumnElement[datetime]:
    """Return the time at which a lease ends that is renewed now."""
    return database_time(dialect, LEASE_DURATION)


async def renew_lease(session: AsyncSession, job: ClaimedJob) -> None:
    """Renew the lease of a job and lock its row, so that no other worker can take it over during this transaction.

    Raises:
        JobCancelled: Another worker has taken over the job, or a user has cancelled it.
    """
    dialect = session.get_bind().dialect.name
    lease_until = lease_end(dialect)
    renewal = update(Job).where(is_claimed(dialect, [job])).values(lease_until=lease_until)
    cancelled = (await session.execute(renewal.returning(col(Job.cancel_asked)))).scalar_one_or_none()
    if cancelled is not False:
        raise JobCancelled


def is_claimed(dialect: str, jobs: Iterable[ClaimedJob]) -> ColumnElement[bool]:
    """Match the rows that still have the claim of these attempts. Jobs of one batch share it."""
    ids_by_claim = defaultdict[str, list[int]](list)
    for job in jobs:
        ids_by_claim[job.claim].append(job.id)
    batches = [(col(Job.claim) == claim) & has_id(dialect, ids) for claim, ids in ids_by_claim.items()]
    return or_(*batches)


def has_id(dialect: str, ids: Select[Any] | list[int]) -> ColumnElement[bool]:
    """Match rows by id. On PostgreSQL, an array is one parameter, and a subquery is not joined with the whole table."""
    if dialect != "postgresql":
        return col(Job.id).in_(ids)
    array = literal(ids, ARRAY(BigInteger)) if isinstance(ids, list) else func.array(ids.scalar_subquery())
    return col(Job.id) == any_(array)


def renew_statement(dialect: str, jobs: Iterable[ClaimedJob]) -> Update:
    """Build the statement that renews leases. It skips locked rows, because the job's transaction renews them."""
    unlocked_ids = select(col(Job.id)).where(is_claimed(dialect, jobs)).with_for_update(skip_locked=True)
    return update(Job).where(col(Job.id).in_(unlocked_ids)).values(lease_until=lease_end(dialect))
