"""Deletion and changes of many rows in short transactions, so that other writers do not wait long."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from time import monotonic
from typing import Any, TypeVar, cast

from sqlalchemy import ColumnElement, CursorResult, Delete, ForeignKeyConstraint, Table, Update, case, func, select
from sqlmodel import col

from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.db.models.model import Model
from opportune.db.queries.referencing_rows import foreign_keys_to, references_rows
from opportune.db.sessions.hook_runner import run_before_hooks

BATCH_ROWS = 1_000
"""Maximum rows changed in one transaction."""
MAX_IDS_PER_QUERY = 50_000
"""Maximum ids that are held in memory."""
MAX_CASCADED_ROWS = 2_000
"""Maximum rows of one table that are deleted in the same transaction as the row they depend on."""

V = TypeVar("V")


def batches_of(values: Sequence[V], size: int) -> Iterator[Sequence[V]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def older_than(column: Any, days: int) -> ColumnElement[bool] | None:
    """Return the condition of rows whose time is older than this number of days. None, if it is 0, keeps all rows."""
    return col(column) <= utc_now() - timedelta(days=days) if days else None


async def delete_in_batches(
    database: Database, model: type[Model], condition: ColumnElement[bool], *, skip_locked: bool = True
) -> int:
    """Delete the rows that match a condition, at most 1,000 per transaction.

    It is not atomic: if it fails or is cancelled, the batches that were committed stay deleted.

    Args:
        skip_locked: Skip rows that another transaction has locked. If false, wait for them.

    Returns:
        Number of deleted rows.
    """
    table = _table_of(model)
    return await _change_rows(database, table, condition, table.delete(), skip_locked=skip_locked)


async def update_in_batches(
    database: Database, model: type[Model], condition: ColumnElement[bool], values: Mapping[str, Any]
) -> int:
    """Set the values of columns in the rows that match a condition, at most 1,000 rows per transaction.

    It is not atomic: if it fails or is cancelled, run it again. Rows that another transaction has locked are skipped.

    Args:
        model: Model of the rows. Its hooks are not run.
        condition: Condition on the model's columns. A row with the new values must no longer match.

    Returns:
        Number of changed rows.
    """
    table = _table_of(model)
    return await _change_rows(database, table, condition, table.update().values(**values), skip_locked=True)


async def delete_dependents_in_batches(database: Database, model: type[Model], *row_ids: int) -> None:
    """Delete dependent rows of rows that are about to be deleted, if they are too many for one transaction.

    Dependent rows have a foreign key with ON DELETE CASCADE. If another foreign key could still refuse the deletion,
    nothing is deleted. The `before_delete` hooks run first, and their changes are rolled back. Their errors, such as
    `FieldErrors`, are raised before anything is deleted.
    """
    table = _table_of(model)
    if any(key.ondelete not in ("CASCADE", "SET NULL") for key in _find_cascading_keys(table)):
        return
    dependents = [*find_dependents(table, table.c.id.in_(row_ids))]
    large = [pair for pair in dependents if await _has_many_rows(database, *pair)]
    if large:
        async with database.writer(is_change=False) as session:
            for row in (await session.scalars(select(model).where(col(model.id).in_(row_ids)))).all():
                await session.delete(row)
            await run_before_hooks(session.sync_session)
            await session.rollback()
    for dependent, condition in large:
        await _change_rows(database, dependent, condition, dependent.delete(), skip_locked=False)


async def _has_many_rows(database: Database, table: Table, condition: ColumnElement[bool]) -> bool:
    rows = select(table.c.id).where(condition).limit(MAX_CASCADED_ROWS + 1).subquery()
    async with database.reader(fresh=True) as session:
        return (await session.scalar(select(func.count()).select_from(rows)) or 0) > MAX_CASCADED_ROWS


async def _change_rows(
    database: Database, table: Table, condition: ColumnElement[bool], statement: Delete | Update, *, skip_locked: bool
) -> int:
    # CASE keeps the planner from using an index for the condition, which may match millions of rows.
    still_matches = case((condition, 1), else_=0) == 1
    rows = select(table.c.id).where(still_matches).with_for_update(skip_locked=skip_locked, of=table)
    total = 0
    while ids := await _read_matching_ids(database, table, condition):
        changed = 0
        for batch in batches_of(ids, BATCH_ROWS):
            locked = rows.where(table.c.id.in_(batch))
            changed += await _run_batch(database, statement.where(table.c.id.in_(locked)))
        total += changed
        if len(ids) < MAX_IDS_PER_QUERY or not changed:
            break
    return total


async def _read_matching_ids(database: Database, table: Table, condition: ColumnElement[bool]) -> Sequence[int]:
    # Many ids per query: each query may scan the whole table, and a reader does not block writers.
    async with database.reader(fresh=True) as session:
        return (await session.scalars(select(table.c.id).where(condition).limit(MAX_IDS_PER_QUERY))).all()


async def _run_batch(database: Database, statement: Delete | Update) -> int:
    started_at = monotonic()
    async with database.writer() as session:
        result = await session.execute(statement)
    # SQLite does not queue writers. Other processes poll for the lock, so it must be free for some time.
    await asyncio.sleep(monotonic() - started_at)
    return cast("CursorResult[Any]", result).rowcount


def find_dependents(
    table: Table, condition: ColumnElement[bool], *visited: Table
) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Yield each table whose rows are deleted by a cascade, with the condition on these rows. Leaves come first."""
    for key in _find_referencing_keys(table, *visited):
        if key.ondelete != "CASCADE":
            continue
        dependent = references_rows(key, condition)
        yield from find_dependents(key.table, dependent, table, *visited)
        if "id" in key.table.c:  # link tables have none; their rows are deleted with the rows that they link
            yield key.table, dependent


def _find_cascading_keys(table: Table, *visited: Table) -> Iterator[ForeignKeyConstraint]:
    """Yield the foreign keys that the database checks when it deletes a row, with the rows that depend on it."""
    for key in _find_referencing_keys(table, *visited):
        yield key
        if key.ondelete == "CASCADE":
            yield from _find_cascading_keys(key.table, table, *visited)


def _find_referencing_keys(table: Table, *visited: Table) -> Iterator[ForeignKeyConstraint]:
    return (key for key in foreign_keys_to(table) if key.table not in (table, *visited))


def _table_of(model: type[Model]) -> Table:
    return cast("Table", model.__table__)  # type: ignore[attr-defined]  # SQLModel's tables have it
