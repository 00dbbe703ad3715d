"""Ids of new rows on SQLite, which otherwise needs a statement for each row to learn its id."""

from typing import Any

from sqlalchemy import func, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.hooks.registry import hooks_of
from opportune.db.models.model import Model


async def number_new_rows(session: AsyncSession, model: type[Any]) -> None:
    """Assign ids to new rows before the flush, as SQLite would.

    Call it in a write transaction, so that no other writer can take the ids. PostgreSQL returns all ids from one
    statement. Models with `before_` hooks are skipped, because these may add rows.
    """
    mapper = inspect(model)
    key = mapper.local_table.autoincrement_column
    may_add_rows = issubclass(model, Model) and any(name.startswith("before_") for name in hooks_of(model))
    if key is None or session.get_bind().dialect.name != "sqlite" or may_add_rows:
        return
    name = mapper.get_property_by_column(key).key
    rows = [row for row in session.new if type(row) is model and getattr(row, name) is None]
    if not rows:
        return
    with session.no_autoflush:
        max_id = await session.scalar(select(func.max(key))) or 0
    for id_, row in enumerate(rows, max_id + 1):
        setattr(row, name, id_)
