"""Advisory locks: locks by name, without a row."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession


async def acquire_advisory_lock(session: AsyncSession, name: str) -> None:
    """Hold a lock until the transaction ends. Other transactions that take the same name wait for it.

    SQLite has a single writer and needs no lock.
    """
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
