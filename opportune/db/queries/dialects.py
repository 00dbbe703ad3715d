"""Statements that SQLite and PostgreSQL write differently: upserts, advisory locks and times."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, DateTime, Table, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import UTCDateTime

from opportune.db.clock import utc_now


def upsert(writer: AsyncSession | Connection, into: type[Any] | Table) -> Any:
    """Return the dialect's `insert` into a model or table, with `on_conflict_do_nothing` and `on_conflict_do_update`.

    Only the dialect of the writer is imported, which saves memory.
    """
    dialect = writer.dialect if isinstance(writer, Connection) else writer.get_bind().dialect
    if dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_into_postgresql  # only one dialect is needed

        return insert_into_postgresql(into)
    from sqlalchemy.dialects.sqlite import insert  # only one dialect is needed

    return insert(into)


async def acquire_advisory_lock(session: AsyncSession, name: str) -> None:
    """Hold a lock until the transaction ends. Other transactions that take the same name wait for it.

    SQLite has a single writer and needs no lock.
    """
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def database_time(source: AsyncSession | str, offset: timedelta = timedelta()) -> ColumnElement[datetime]:
    """Return the time of the database server plus `offset`, because the clocks of machines differ.

    It is the start of the statement, because an index cannot find rows by a time that changes during the statement.
    For SQLite, the clock of this machine is used.
    """
    dialect = source if isinstance(source, str) else source.get_bind().dialect.name
    if dialect == "postgresql":
        return func.statement_timestamp(type_=DateTime(timezone=True)) + offset
    return literal(utc_now() + offset, UTCDateTime)


async def read_database_time(session: AsyncSession) -> datetime:
    """Return the current time of the database server, so that machines with different clocks agree.

    For SQLite, the clock of this machine is used.
    """
    if session.get_bind().dialect.name != "postgresql":
        return utc_now()
    return (await session.scalars(select(database_time(session)))).one()
