"""Many new rows at once, in one statement for all of them."""

from typing import Any

from sqlalchemy import func, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.hooks.registry import hooks_of
from opportune.db.models.model import Model


async def number_new_rows(session: AsyncSession, model: type[Any]) -> None:
    """Give the new rows of a model the numbers that SQLite would give them, before they are written.

    Otherwise it has to tell the number of each, and SQLAlchemy asks it to store them one by one. The transaction must
    be one that writes: on SQLite there is no other then. PostgreSQL tells the numbers of all at once, and rows whose
    hooks may add others before they are written are left to the database.
    """
    key = inspect(model).primary_key[0]
    if session.get_bind().dialect.name != "sqlite" or (issubclass(model, Model) and _may_add_rows(model)):
        return
    rows = [row for row in session.new if type(row) is model and getattr(row, key.key) is None]
    if not rows:
        return
    with session.no_autoflush:
        last = await session.scalar(select(func.max(key))) or 0
    for number, row in enumerate(rows, last + 1):
        setattr(row, key.key, number)


def _may_add_rows(model: type[Model]) -> bool:
    return any(moment.startswith("before_") for moment in hooks_of(model))
