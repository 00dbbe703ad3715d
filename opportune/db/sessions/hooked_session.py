"""Session that runs hooks before and after it writes rows, and further listeners of its flush."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import event
from sqlalchemy.util import await_
from sqlmodel import SQLModel

from opportune.db.hooks.registry import has_hooks, may_run_hooks, registered, state_of, unwritten_changes
from opportune.db.sessions.hook_runner import run_before_hooks, unwritten_rows
from opportune.db.sessions.state import Operation, Write
from opportune.db.sessions.trash import TrashSession

FLUSH_EVENTS = ("before_flush", "after_flush", "after_flush_postexec", "transient_to_pending", "pending_to_persistent")

_activity_checks: dict[Callable[..., None], Callable[[], bool]] = {}
"""Checks whether a listener of `listen_while` is active, by the listener."""


class HookedSession(TrashSession):
    """Synchronous session inside the framework's sessions. Its `flush` ignores `objects` and writes all rows."""

    def flush(self, objects: Sequence[Any] | None = None) -> None:
        if hook := self.state.before_hook:
            raise RuntimeError(
                f"{hook.__module__}.{hook.__name__} runs before its row is written, so it cannot flush, commit or "
                "begin a savepoint. Do that in an after_… hook."
            )
        if registered and any(unwritten_rows(self)):
            await_(run_before_hooks(self))
        self.write_changes()

    def write_changes(self) -> None:
        """Write pending changes without hooks."""
        super().flush()

    def has_rows_with_hooks(self) -> bool:
        """Return whether the session has pending or written rows that may have hooks."""
        if not registered:
            return False
        models: set[Any] = {type(row) for rows in (self.new, self.dirty, self.deleted) for row in rows}
        return bool(self.state.writes) or any(map(may_run_hooks, models))

    def has_flush_listeners(self) -> bool:
        """Return whether SQLAlchemy's events have active listeners, so that a flush has to write each row."""
        for name in FLUSH_EVENTS:
            for listener in getattr(self.dispatch, name):
                is_active = _activity_checks.get(listener)
                if listener is not record_written and (is_active is None or is_active()):
                    return True
        return False

    def record_write(self, row: SQLModel, operation: Operation) -> None:
        changes = unwritten_changes(state_of(row)) if operation == "update" else {}
        self.state.writes.append((Write(row, operation, changes), self.get_nested_transaction()))


@event.listens_for(HookedSession, "after_flush")
def record_written(session: HookedSession, _flush: object) -> None:
    """Record the rows of a flush. Inserts without a flush record theirs."""
    if registered:
        for operation, row in unwritten_rows(session):  # the session still has its pending rows
            if operation != "delete":
                session.record_write(row, operation)


@event.listens_for(HookedSession, "persistent_to_deleted")
def _record_deleted(session: HookedSession, row: SQLModel) -> None:
    if has_hooks(type(row)):
        session.record_write(row, "delete")


def listen_while(is_active: Callable[[], bool], **listeners: Callable[..., None]) -> None:
    """Add listeners of SQLAlchemy's session events by event name, which themselves do nothing unless `is_active()`.

    While they are inactive, a flush may write rows without the events.
    """
    for name, listener in listeners.items():
        event.listen(HookedSession, name, listener)
        _activity_checks[listener] = is_active
