"""Rows that a session has written or will write, for the hooks of these rows."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction
from sqlmodel import SQLModel

from opportune.db.hooks.registry import Change, has_hooks, state_of, unwritten_changes

Operation = Literal["create", "update", "delete"]

WRITES = "hooks.writes"
"""Key in a session's `info` for the writes whose `after_` hooks have not run."""


class Write(NamedTuple):
    """Row that was written."""

    row: SQLModel
    operation: Operation
    changes: Mapping[str, Change]
    savepoint: SessionTransaction | None


def unwritten_rows(session: Session) -> Iterator[tuple[Operation, SQLModel]]:
    """Yield the rows with hooks that the next flush writes."""
    for row in session.new:
        if has_hooks(type(row)):
            yield "create", row
    for row in session.dirty:
        if has_hooks(type(row)) and session.is_modified(row):
            yield "update", row
    for row in session.deleted:
        if has_hooks(type(row)):
            yield "delete", row


def record_write(session: Session, row: SQLModel, operation: Operation) -> None:
    changes = unwritten_changes(state_of(row)) if operation == "update" else {}
    session.info.setdefault(WRITES, []).append(Write(row, operation, changes, session.get_nested_transaction()))


def take_writes(session: AsyncSession) -> list[Write]:
    """Return the writes whose hooks have not run, at most one for each row, and forget them."""
    rows: dict[int, list[Write]] = defaultdict(list)
    for write in session.info.pop(WRITES, ()):
        rows[id(write.row)].append(write)
    return [write for writes in rows.values() if (write := _combine_writes(writes))]


def _combine_writes(writes: Sequence[Write]) -> Write | None:
    """Combine the writes of a row into one. Return None if the row was created and deleted."""
    first, last = writes[0], writes[-1]
    if first.operation == "create":
        return None if last.operation == "delete" else first
    return last if last.operation == "delete" else _merge_changes(writes)


def _merge_changes(writes: Sequence[Write]) -> Write | None:
    merged: dict[str, Change] = {}
    for write in writes:
        for name, change in write.changes.items():
            merged[name] = Change(merged.get(name, change).before, change.after)
    changes = {name: change for name, change in merged.items() if change.before != change.after}
    return writes[0]._replace(changes=changes) if changes else None


def discard_within(session: Session, key: str, savepoint: SessionTransaction) -> None:
    """Discard the entries of `session.info[key]` from a savepoint that is rolled back. Each ends with its savepoint."""
    if remaining := [entry for entry in session.info.pop(key, ()) if not is_within(entry[-1], savepoint)]:
        session.info[key] = remaining


def is_within(savepoint: SessionTransaction | None, outer: SessionTransaction) -> bool:
    while savepoint is not None and savepoint is not outer:
        savepoint = savepoint.parent
    return savepoint is outer
