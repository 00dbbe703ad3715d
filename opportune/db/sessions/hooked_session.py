"""Session that runs hooks before and after it writes rows."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncSession, async_session
from sqlalchemy.orm import RelationshipDirection, RelationshipProperty, Session
from sqlalchemy.util import await_
from sqlmodel import SQLModel

from opportune.db.hooks.registry import (
    WRITTEN_CHANGES,
    hooks_of,
    may_run_hooks,
    registered,
    state_of,
    unwritten_changes,
)
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.sessions.trash import TrashSession
from opportune.db.sessions.writes import WRITES, Operation, Write, take_writes, unwritten_rows

MAX_HOOK_ROUNDS = 100
"""Maximum rounds of hooks that write rows with hooks. More are treated as an endless loop."""
BEFORE_HOOK = "hooks.before"
"""Key in a session's `info` for the `before_` hook that is running."""
AFTER_HOOKS_RUNNING = "hooks.running"
"""Key that exists while `after_` hooks are running."""


class HookedSession(TrashSession):
    """Synchronous session inside the framework's sessions. Its `flush` ignores `objects` and writes all rows."""

    def flush(self, objects: Sequence[Any] | None = None) -> None:
        if hook := self.info.get(BEFORE_HOOK):
            raise RuntimeError(
                f"{hook.__module__}.{hook.__name__} runs before its row is written, so it cannot flush, commit or "
                "begin a savepoint. Do that in an after_… hook."
            )
        if registered and any(unwritten_rows(self)):
            await_(_run_before_hooks(self))
        self.write_changes()

    def write_changes(self) -> None:
        """Write pending changes without hooks."""
        super().flush()


async def _run_before_hooks(sync_session: Session) -> None:
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
    raise _endless_loop(rows[0][1])


async def _run_before_hooks_of_row(session: AsyncSession, operation: Operation, row: SQLModel) -> None:
    hooks = hooks_of(type(row))
    guards = hooks.get("before_delete", ()) if operation == "update" and _is_moved_to_trash(row) else ()
    try:
        for hook in (*guards, *hooks.get(f"before_{operation}", ())):
            session.info[BEFORE_HOOK] = hook
            await hook(session, row)
    finally:
        session.info.pop(BEFORE_HOOK, None)


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
    key_columns, mapper = relation.mapper.primary_key, state_of(row).mapper
    identity = (None,) * len(key_columns) if target is None else state_of(target).identity
    keys = dict(zip(key_columns, identity or (), strict=False))
    for local, remote in relation.local_remote_pairs or ():
        if target is None or remote in keys:
            setattr(row, mapper.get_property_by_column(local).key, keys.get(remote))


def _endless_loop(row: SQLModel) -> RuntimeError:
    return RuntimeError(f"The hooks of {type(row).__name__} trigger each other in an endless loop.")  # not translated


def has_rows_with_hooks(session: AsyncSession) -> bool:
    """Return whether the session has pending or written rows that may have hooks."""
    if not registered:
        return False
    pending = session.sync_session
    models: set[Any] = {type(row) for rows in (pending.new, pending.dirty, pending.deleted) for row in rows}
    return WRITES in session.info or any(map(may_run_hooks, models))


def refuse_commit_in_hook(session: AsyncSession) -> None:
    if AFTER_HOOKS_RUNNING in session.info:
        raise RuntimeError("A hook must not commit. It runs in the transaction of its row.")


async def run_after_hooks(session: AsyncSession, flush: Callable[[], Awaitable[None]]) -> None:
    """Run the hooks of written rows, then the hooks of rows that these hooks write, until none remain.

    Changes that hooks make to a row do not run its hooks again.
    """
    if WRITES not in session.info or AFTER_HOOKS_RUNNING in session.info:
        return
    session.info[AFTER_HOOKS_RUNNING] = True
    handled: dict[int, SQLModel] = {}
    try:
        for _ in range(MAX_HOOK_ROUNDS):
            for write in take_writes(session):
                if write.operation == "delete" or id(write.row) not in handled:
                    handled[id(write.row)] = write.row
                    await _run_after_hooks_of_row(session, write)
            await flush()
            if WRITES not in session.info:
                return
    finally:
        del session.info[AFTER_HOOKS_RUNNING]
    raise _endless_loop(session.info[WRITES][0].row)


async def _run_after_hooks_of_row(session: AsyncSession, write: Write) -> None:
    info = state_of(write.row).info
    if write.operation == "update":
        info[WRITTEN_CHANGES] = write.changes
    try:
        for hook in hooks_of(type(write.row)).get(f"after_{write.operation}", ()):
            await hook(session, write.row)
    finally:
        info.pop(WRITTEN_CHANGES, None)
