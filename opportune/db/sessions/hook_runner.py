"""Hooks of the rows that a session writes: in rounds, because hooks may write rows with hooks."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncSession, async_session
from sqlalchemy.orm import RelationshipDirection, RelationshipProperty, Session
from sqlmodel import SQLModel

from opportune.db.hooks.registry import WRITTEN_CHANGES, Change, has_hooks, hooks_of, state_of, unwritten_changes
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.sessions.state import Operation, SessionState, Write, session_state

MAX_HOOK_ROUNDS = 100
"""Maximum rounds of hooks that write rows with hooks. More are treated as an endless loop."""


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


async def run_before_hooks(sync_session: Session) -> None:
    """Run the hooks once per row, also for rows that hooks add or change."""
    session = cast("AsyncSession", async_session(sync_session))
    handled: dict[int, SQLModel] = {}  # it keeps the rows alive, so that no other row gets the same id
    with sync_session.no_autoflush:  # hooks see rows before they are written
        for _ in range(MAX_HOOK_ROUNDS):
            rows = [(operation, row) for operation, row in unwritten_rows(sync_session) if id(row) not in handled]
            if not rows:
                return
            for operation, row in rows:
                if operation != "delete":
                    _set_foreign_keys(row)
            for operation, row in rows:
                handled[id(row)] = row
                await _run_before_hooks_of_row(session, operation, row)
    _, row = rows[0]
    raise _endless_loop(row)


async def _run_before_hooks_of_row(session: AsyncSession, operation: Operation, row: SQLModel) -> None:
    state = session_state(session)
    hooks = hooks_of(type(row))
    guards = hooks.get("before_delete", ()) if operation == "update" and _is_moved_to_trash(row) else ()
    try:
        for hook in (*guards, *hooks.get(f"before_{operation}", ())):
            state.before_hook = hook
            await hook(session, row)
    finally:
        state.before_hook = None


def _is_moved_to_trash(row: SQLModel) -> bool:
    return isinstance(row, SoftDelete) and bool(row.deleted_at) and "deleted_at" in unwritten_changes(state_of(row))


def _set_foreign_keys(row: SQLModel) -> None:
    """Set foreign keys from relationships, as the flush does, so that hooks can read `book.author_id`."""
    state = state_of(row)
    for relation in state.mapper.relationships:
        if relation.direction is RelationshipDirection.MANYTOONE and not relation.viewonly:
            for target in state.attrs[relation.key].history.added or ():
                _set_foreign_key(row, relation, target)


def _set_foreign_key(row: SQLModel, relation: RelationshipProperty[Any], target: SQLModel | None) -> None:
    """Set the columns of a relationship to the key of its target. A new target has no key before the flush."""
    key_columns = relation.mapper.primary_key
    mapper = state_of(row).mapper
    identity = (None,) * len(key_columns) if target is None else state_of(target).identity
    keys = dict(zip(key_columns, identity or (), strict=False))
    for local, remote in relation.local_remote_pairs or ():
        if target is None or remote in keys:
            setattr(row, mapper.get_property_by_column(local).key, keys.get(remote))


def _endless_loop(row: SQLModel) -> RuntimeError:
    return RuntimeError(f"The hooks of {type(row).__name__} trigger each other in an endless loop.")  # not translated


async def run_after_hooks(session: AsyncSession, flush: Callable[[], Awaitable[None]]) -> None:
    """Run the hooks of written rows, then the hooks of rows that these hooks write, until none remain.

    Changes that hooks make to a row do not run its hooks again.
    """
    state = session_state(session)
    if state.runs_after_hooks or not state.writes:
        return
    state.runs_after_hooks = True
    handled: dict[int, SQLModel] = {}
    try:
        for _ in range(MAX_HOOK_ROUNDS):
            for write in _take_writes(state):
                if write.operation == "delete" or id(write.row) not in handled:
                    handled[id(write.row)] = write.row
                    await _run_after_hooks_of_row(session, write)
            await flush()
            if not state.writes:
                return
    finally:
        state.runs_after_hooks = False
    write, _ = state.writes[0]
    raise _endless_loop(write.row)


async def _run_after_hooks_of_row(session: AsyncSession, write: Write) -> None:
    info = state_of(write.row).info
    if write.operation == "update":
        info[WRITTEN_CHANGES] = write.changes
    try:
        for hook in hooks_of(type(write.row)).get(f"after_{write.operation}", ()):
            await hook(session, write.row)
    finally:
        info.pop(WRITTEN_CHANGES, None)


def _take_writes(state: SessionState) -> list[Write]:
    """Return the writes whose hooks have not run, at most one for each row, and forget them."""
    rows: dict[int, list[Write]] = defaultdict(list)
    for write, _ in state.writes:
        rows[id(write.row)].append(write)
    state.writes = []
    combined = map(_combine_writes, rows.values())
    return [write for write in combined if write]


def _combine_writes(writes: Sequence[Write]) -> Write | None:
    """Combine the writes of a row into one. Return None if the row was created and deleted."""
    first = writes[0]
    last = writes[-1]
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
