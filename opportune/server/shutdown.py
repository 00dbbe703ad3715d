"""How a stream learns that the server stops: it waits for `shutting_down(app)` beside whatever else it waits for.

The server ends the lifespan only after the last response, and a stream without an end would keep it waiting. So the
signal itself sets the event, in every kind of process: one alone, a worker, one that reloads.
"""

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

from fastapi import FastAPI

from opportune.config.settings import Settings

SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    SIGNALS.append(signal.SIGBREAK)

GC_THRESHOLDS = (20_000, 5, 2)
"""New objects between collections of the young generation, and how many collections of one come before the next older.

Python's default is 700, 10, 10. A dropped compiled statement refers to itself and has reached the oldest generation:
if that is collected too rarely, a worker grows without end.
"""

next_version_serves = threading.Event()
"""Set when another process has taken over the socket (SIGHUP): this one may take its time to end."""

Handler = Callable[[int, FrameType | None], Any]


def shutting_down(app: FastAPI) -> asyncio.Event:
    """The event that is set when the process is told to stop, or the application ends for another reason."""
    event: asyncio.Event = app.state.shutting_down
    return event


@asynccontextmanager
async def watch_signals(app: FastAPI) -> AsyncIterator[None]:
    """Set `shutting_down(app)` at a signal, before the server's own handler does its part."""
    event = shutting_down(app)
    event.clear()
    app.state.is_draining = False
    replaced = _add_handlers(app, asyncio.get_running_loop(), event)
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
        event.set()


def tune_gc() -> None:
    """Exclude the objects of the start from garbage collection: they stay, and each collection would visit them.

    Young garbage is collected less often than by default. Reference counts free most objects of a request.
    """
    if gc.get_threshold() != GC_THRESHOLDS:
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)


def _add_handlers(app: FastAPI, loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> dict[signal.Signals, Handler]:
    """Put ours before the server's handlers and give those back. Where there are none, signals do what they did."""
    if threading.current_thread() is not threading.main_thread():  # Python handles signals in that one only
        return {}
    present = {number: handler for number in SIGNALS if callable(handler := signal.getsignal(number))}

    settings: Settings | None = getattr(app.state, "settings", None)
    delay_seconds = settings.stop_delay_seconds if settings else 0

    def set_and_pass_on(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(event.set)
        present[signal.Signals(number)](number, frame)

    def set_and_pass_on_later(number: int, frame: FrameType | None) -> None:
        if app.state.is_draining or not delay_seconds:  # the second signal is in earnest
            set_and_pass_on(number, frame)
            return
        app.state.is_draining = True
        loop.call_soon_threadsafe(loop.call_later, delay_seconds, set_and_pass_on, number, None)

    for number in present:
        signal.signal(number, set_and_pass_on_later if number == signal.SIGTERM else set_and_pass_on)
    return present
