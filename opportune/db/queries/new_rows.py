"""Ids for new rows on SQLite, so that one statement inserts all of them."""

from typing import Any

from sqlalchemy import func, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.hooks.registry import hooks_of
from opportune.db.models.model import Model


async def number_new_rows(session: AsyncSession, model: type[Any]) -> None:
    """Assign ids to new rows before the flush, as SQLite would.

    Otherwise SQLAlchemy inserts rows one by one on SQLite to learn their ids. Call it in a write transaction, so that
    no other writer can take the ids. PostgreSQL returns all ids from one statement. It skips models with
    `before_` hooks, because these may add rows.
    """
    key = inspect(model).primary_key[0]
    may_add_rows = issubclass(model, Model) and any(name.startswith("before_") for name in hooks_of(model))
    if session.get_bind().dialect.name != "sqlite" or may_add_rows:
        return
    rows = [row for row in session.new if type(row) is model and getattr(row, key.key) is None]
    if not rows:
        return
    with session.no_autoflush:
        max_id = await session.scalar(select(func.max(key))) or 0
    for id_, row in enumerate(rows, max_id + 1):
        setattr(row, key.key, id_)
