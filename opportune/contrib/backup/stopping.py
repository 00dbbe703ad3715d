"""Aborts a backup when its process shuts down."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opportune.contrib.backup.archive import Sink
from opportune.errors import OperatorError
from opportune.progress import Progress


class StoppableProgress:
    """Progress that raises OperatorError once the event is set, instead of showing it."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    @contextmanager
    def show(self, _label: str, _total: int | None, _unit: str) -> Iterator[Progress]:
        yield self

    def advance(self, count: int = 1) -> None:
        require_running(self._stop)

    def describe(self, label: str) -> None:
        """Do nothing: `advance` checks the event."""


class StoppableSink:
    """Sink that also checks the event, because long writes report no progress."""

    def __init__(self, sink: Sink, stop: threading.Event) -> None:
        self._sink = sink
        self._stop = stop

    def write(self, content: bytes) -> int:
        require_running(self._stop)
        return self._sink.write(content)

    def flush(self) -> None:
        self._sink.flush()


def require_running(stop: threading.Event) -> None:
    if stop.is_set():
        raise OperatorError("The process is shutting down. Another worker will make the backup.")
