"""Locks that stand for no row."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession


async def take_turn(session: AsyncSession, name: str) -> None:
    """Let nobody else pass here by this name until the transaction ends. On SQLite whoever writes is alone already.

    PostgreSQL knows it by a number, into which seven letters fit.
    """
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(select(func.pg_advisory_xact_lock(int.from_bytes(name.encode()))))
