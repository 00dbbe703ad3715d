"""Listeners of SQLAlchemy's session events, which tell whether a flush has to write each row."""

from collections.abc import Callable

from sqlalchemy import event

from opportune.db.sessions.hooked_session import HookedSession, record_written

FLUSH_EVENTS = ("before_flush", "after_flush", "after_flush_postexec", "transient_to_pending", "pending_to_persistent")
_listener_conditions: dict[Callable[..., None], Callable[[], bool]] = {record_written: lambda: False}
"""Checks whether a listener is active. Inserts check for hooks themselves, so `record_written` never counts."""
_flush_listeners = [getattr(HookedSession().dispatch, name) for name in FLUSH_EVENTS]
"""The current listeners of each event, also those that are added later."""


def listen_while(is_active: Callable[[], bool], **listeners: Callable[..., None]) -> None:
    """Add listeners of SQLAlchemy's session events by event name, which themselves do nothing unless `is_active()`.

    While they are inactive, a flush may write rows without the events.
    """
    for name, listener in listeners.items():
        event.listen(HookedSession, name, listener)
        _listener_conditions[listener] = is_active


def has_flush_listeners() -> bool:
    """Return whether SQLAlchemy's session events have active listeners, so that a flush has to write each row."""
    listeners = (listener for listeners in _flush_listeners for listener in listeners)
    return any(listener not in _listener_conditions or _listener_conditions[listener]() for listener in listeners)
