"""Shutdown signals: streams also wait for `shutting_down(app)`, and end when it is set.

The server ends the lifespan after the last response, so an endless stream would block it. Therefore the signal itself
sets the event.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from types import FrameType
from typing import Any, cast

from fastapi import FastAPI

from opportune.config.settings import Settings

SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    SIGNALS.append(signal.SIGBREAK)

END_TIMEOUT_SECONDS = 2.0
"""Time for the last tasks and threads to end, after the application has stopped."""

logger = logging.getLogger(__name__)

next_version_serves = threading.Event()
"""Set when another process has taken over the socket (SIGHUP), so that this one need not hurry."""

Handler = Callable[[int, FrameType | None], Any]


def shutting_down(app: FastAPI) -> asyncio.Event:
    """Return the event that is set when the application stops."""
    return cast("asyncio.Event", app.state.shutting_down)


def limit_time_to_end() -> None:
    """End this process after END_TIMEOUT_SECONDS, even if a task catches its cancellation or a thread never ends.

    Call it when the work is done. The exit code is 0.
    """
    timer = threading.Timer(END_TIMEOUT_SECONDS, _end_process)
    timer.daemon = True
    timer.start()


def _end_process() -> None:
    logger.warning("A task or thread of the site did not end, so the process ended without it.")
    os._exit(0)


def exit_at_signal() -> AbstractContextManager[None]:
    """End this process immediately at a signal, while it imports the site and has begun nothing."""
    return _handled_signals(dict.fromkeys(SIGNALS, lambda *_: os._exit(0)))


@asynccontextmanager
async def watch_signals(app: FastAPI) -> AsyncIterator[None]:
    """Set `shutting_down(app)` at a signal, then call the server's handler."""
    event = shutting_down(app)
    event.clear()
    app.state.is_draining = False
    try:
        with _handled_signals(_create_handlers(app, asyncio.get_running_loop(), event)):
            yield
    finally:
        event.set()


@contextmanager
def _handled_signals(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Handle these signals in the main thread. Other threads receive no signals."""
    with ExitStack() as restored:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                restored.callback(signal.signal, number, signal.signal(number, handler))
        yield


def _create_handlers(
    app: FastAPI, loop: asyncio.AbstractEventLoop, event: asyncio.Event
) -> dict[signal.Signals, Handler]:
    """Return handlers that call those of the server. Signals without a handler are left alone."""
    handlers = {number: handler for number in SIGNALS if callable(handler := signal.getsignal(number))}
    settings: Settings | None = getattr(app.state, "settings", None)
    delay_seconds = settings.stop_delay_seconds if settings else 0

    def set_event_and_forward(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(event.set)
        handlers[signal.Signals(number)](number, frame)

    def set_event_after_delay(number: int, frame: FrameType | None) -> None:
        if app.state.is_draining or not delay_seconds:  # a second signal stops without the delay
            set_event_and_forward(number, frame)
            return
        app.state.is_draining = True
        loop.call_soon_threadsafe(loop.call_later, delay_seconds, set_event_and_forward, number, None)

    # Hosts send SIGTERM. A developer who presses Ctrl+C does not wait.
    return {number: set_event_after_delay if number == signal.SIGTERM else set_event_and_forward for number in handlers}
