"""Listeners of SQLAlchemy's events for the duration of a block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event


@contextmanager
def listening(target: Any, **listeners: Callable[..., None]) -> Iterator[None]:
    """Call listeners by the names of their events, such as `before_cursor_execute`, until the block ends."""
    for name, listener in listeners.items():
        event.listen(target, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners.items():
            event.remove(target, name, listener)
