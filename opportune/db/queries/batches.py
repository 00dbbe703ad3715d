"""Deleting many rows without keeping others from writing."""

import asyncio
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, ForeignKey, Table, case, delete, func, select

from opportune.db.database import Database
from opportune.db.models.model import Model

DELETE_BATCH_ROWS = 1_000
"""Rows in one transaction, at most."""
MAX_LOOKED_UP_IDS = 50_000
"""Rows whose ids are in memory, at most."""
MAX_CASCADED_ROWS = 2_000
"""Rows of one table that go with another row in its own transaction, at most."""


async def delete_in_batches(
    database: Database, kind: type[Model], condition: ColumnElement[bool], *, skip_locked: bool = True
) -> int:
    """Delete the rows of which this is true, a thousand in each transaction, and give their number.

    It is not all or nothing: what is deleted when it fails or is cancelled stays so. Rows that another transaction
    holds are left for the next time, or are waited for without `skip_locked`.
    """
    return await _delete(database, _table(kind), condition, skip_locked)


async def delete_dependents_in_batches(database: Database, kind: type[Model], row_id: int) -> None:
    """Delete much of what goes with a row that is about to be deleted, where it is too much for one transaction.

    It goes by foreign keys that cascade. Where another one could still refuse the deletion, nothing is done.
    """
    table = _table(kind)
    if any(key.ondelete not in ("CASCADE", "SET NULL") for key in _keys_below(table)):
        return
    for dependent, condition in _dependents(table, table.c.id == row_id):
        some = select(dependent.c.id).where(condition).limit(MAX_CASCADED_ROWS + 1).subquery()
        async with database.reader(fresh=True) as session:
            count = await session.scalar(select(func.count()).select_from(some))
        if (count or 0) > MAX_CASCADED_ROWS:
            await _delete(database, dependent, condition, skip_locked=False)


async def _delete(database: Database, table: Table, condition: ColumnElement[bool], skip_locked: bool) -> int:
    total = 0
    while found := await _some(database, table, condition):
        gone = 0
        for start in range(0, len(found), DELETE_BATCH_ROWS):
            gone += await _delete_these(
                database, table, condition, found[start : start + DELETE_BATCH_ROWS], skip_locked
            )
        total += gone
        if len(found) < MAX_LOOKED_UP_IDS or not gone:
            break
    return total


async def _some(database: Database, table: Table, condition: ColumnElement[bool]) -> Sequence[int]:
    """Many at a time: the table may have to be read for each look, and that is no matter of those that write."""
    async with database.reader(fresh=True) as session:
        return (await session.scalars(select(table.c.id).where(condition).limit(MAX_LOOKED_UP_IDS))).all()


async def _delete_these(
    database: Database, table: Table, condition: ColumnElement[bool], ids: Sequence[int], skip_locked: bool
) -> int:
    # Not by an index of the condition's, which may find millions where a thousand ids are asked for.
    still_true = case((condition, 1), else_=0) == 1
    still = select(table.c.id).where(table.c.id.in_(ids), still_true).with_for_update(skip_locked=skip_locked, of=table)
    began = monotonic()
    async with database.writer() as session:
        result = await session.execute(delete(table).where(table.c.id.in_(still)))
    # SQLite has no queue: other processes ask again and again for the lock, and must find it free.
    await asyncio.sleep(monotonic() - began)
    return cast("CursorResult[Any]", result).rowcount


def _dependents(
    table: Table, condition: ColumnElement[bool], *above: Table
) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Tables with rows that go with these, the last first, and which rows."""
    for key in _keys_to(table, *above):
        if key.ondelete != "CASCADE":
            continue
        theirs = key.parent.in_(select(key.column).where(condition))
        yield from _dependents(key.parent.table, theirs, table, *above)
        if "id" in key.parent.table.c:  # else its rows go with those that they belong to
            yield key.parent.table, theirs


def _keys_below(table: Table, *above: Table) -> Iterator[ForeignKey]:
    """Whatever is asked when a row goes, and when those go that go with it."""
    for key in _keys_to(table, *above):
        yield key
        if key.ondelete == "CASCADE":
            yield from _keys_below(key.parent.table, table, *above)


def _keys_to(table: Table, *above: Table) -> Iterator[ForeignKey]:
    """From other tables, but for those from which we come."""
    for other in table.metadata.tables.values():
        if other not in (table, *above):
            yield from (key for key in other.foreign_keys if key.column.table is table)


def _table(kind: type[Model]) -> Table:
    return Model.metadata.tables[str(kind.__tablename__)]
