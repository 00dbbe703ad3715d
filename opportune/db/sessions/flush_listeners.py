"""Listeners of SQLAlchemy's session events: those that record rows with hooks, and those of other modules."""

from collections.abc import Callable

from sqlalchemy import event
from sqlalchemy.orm import Session
from sqlmodel import SQLModel

from opportune.db.hooks.registry import has_hooks, registered
from opportune.db.sessions.hooked_session import HookedSession
from opportune.db.sessions.writes import record_write, unwritten_rows


@event.listens_for(HookedSession, "after_flush")
def _record_written(session: Session, _flush: object) -> None:
    if registered:
        for operation, row in unwritten_rows(session):  # the session still has its pending rows
            if operation != "delete":
                record_write(session, row, operation)


@event.listens_for(HookedSession, "persistent_to_deleted")
def _record_deleted(session: Session, row: SQLModel) -> None:
    if has_hooks(type(row)):
        record_write(session, row, "delete")


FLUSH_EVENTS = ("before_flush", "after_flush", "after_flush_postexec", "transient_to_pending", "pending_to_persistent")
_listener_conditions: dict[Callable[..., None], Callable[[], bool]] = {_record_written: lambda: False}
"""Return whether a listener is active. `_record_written` serves rows with hooks, which have another check."""
_sample_session = HookedSession()
_flush_listeners = [getattr(_sample_session.dispatch, name) for name in FLUSH_EVENTS]
"""The current listeners of each event, also those that are added later."""


def listen_while(is_active: Callable[[], bool], **listeners: Callable[..., None]) -> None:
    """Add listeners of SQLAlchemy's session events by event name, which themselves do nothing unless `is_active()`.

    Meanwhile a flush may write rows without the events.
    """
    for name, listener in listeners.items():
        event.listen(HookedSession, name, listener)
        _listener_conditions[listener] = is_active


def has_flush_listeners() -> bool:
    """Return whether SQLAlchemy's session events have active listeners, so that a flush has to write each row."""
    listeners = (listener for listeners in _flush_listeners for listener in listeners)
    return any(listener not in _listener_conditions or _listener_conditions[listener]() for listener in listeners)
