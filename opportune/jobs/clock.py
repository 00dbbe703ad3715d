"""The clock that decides when jobs are due and when leases end."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, DateTime, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import UTCDateTime

from opportune.db.models.model import utc_now

EARLIEST_TIME = datetime.min.replace(tzinfo=UTC)


def database_time(dialect: str, offset: timedelta = timedelta()) -> ColumnElement[datetime]:
    """Return the time of the database server plus `offset`. For SQLite, the clock of this machine is used.

    It is the start of the statement, because an index cannot find rows by a time that changes during the statement.
    """
    if dialect == "postgresql":
        return func.statement_timestamp(type_=DateTime(timezone=True)) + offset
    return literal(utc_now() + offset, UTCDateTime)


async def read_database_time(session: AsyncSession) -> datetime:
    """Return the time that decides, so that machines with different clocks agree on the next run of a schedule."""
    return (await session.scalars(select(database_time(session.get_bind().dialect.name)))).one()
