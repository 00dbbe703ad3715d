"""Rows of the test's database, read and changed in one call."""

from typing import Any, TypeVar

from sqlalchemy import select, text, update
from sqlmodel import col

from opportune.db import Database, Model

M = TypeVar("M", bound=Model)


async def read_all(database: Database, model: type[M], /, **values: Any) -> list[M]:
    """Return the rows with these values, oldest first."""
    async with database.reader(fresh=True) as session:
        return list(await session.scalars(select(model).filter_by(**values).order_by(col(model.id))))


async def read_one(database: Database, model: type[M], **values: Any) -> M:
    """Return the only row with these values."""
    (row,) = await read_all(database, model, **values)
    return row


async def count(database: Database, model: type[M], **values: Any) -> int:
    return len(await read_all(database, model, **values))


async def reload(database: Database, row: M) -> M:
    return await read_one(database, type(row), id=row.id)


async def change(database: Database, row: M, **values: Any) -> None:
    """Change a row like the site, with its hooks."""
    async with database.writer() as session:
        (await session.get_one(type(row), row.id)).sqlmodel_update(values)


async def set_all(database: Database, model: type[M], **values: Any) -> None:
    """Set values of all rows by a statement, which runs no hooks."""
    async with database.writer() as session:
        await session.execute(update(model).values(**values))


async def store(database: Database, *rows: Model) -> None:
    async with database.writer() as session:
        session.add_all(rows)


async def has_waiting_lock(database: Database) -> bool:
    """Return whether a transaction of PostgreSQL waits for a lock."""
    query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    async with database.reader(fresh=True) as session:
        return bool(await session.scalar(text(query)))


async def delete(database: Database, row: Model) -> None:
    async with database.writer() as session:
        await session.delete(await session.get_one(type(row), row.id))
