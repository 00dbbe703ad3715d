"""Names the line that held the event loop: while it does, nobody else is served. For development.

A thread asks the loop for a sign of life, and when none comes in time looks at what the loop's thread is doing.
"""

import asyncio
import linecache
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import takewhile
from pathlib import Path
from types import CodeType, FrameType

from jinja2 import Environment

from opportune.config.project import FRAMEWORK, PROJECT, display_path

logger = logging.getLogger(__name__)

BLOCKED_AFTER_SECONDS = 0.1
"""Seconds by which an answer may be late."""
PING_INTERVAL_SECONDS = 0.025
"""Seconds that the loop takes for its answer, so that the questions cost it little."""
REPORT_AFTER_SECONDS = 10
"""Seconds after which it is told of a line that still holds the loop: it may never let go."""
REPEAT_AFTER_SECONDS = 60
"""Seconds until the same line is told of again."""

# An import happens once, and so does it that a template becomes code; somebody who stands in a debugger knows.
IGNORED_MODULES = {"importlib", "bdb", "pdb", "debugpy", "pydevd", "_pydevd_bundle"}
COMPILES_TEMPLATE = Environment.compile.__code__
IDLE_MODULES = {"selectors", "asyncio.windows_events"}


@asynccontextmanager
async def monitor_loop() -> AsyncIterator[None]:
    """Log a warning with the line of each call that holds the running loop."""
    watcher = LoopMonitor(asyncio.get_running_loop())
    watcher.thread.start()
    try:
        yield
    finally:
        watcher.ending.set()
        await asyncio.to_thread(watcher.thread.join)  # the loop must go on answering until then


class LoopMonitor:
    """A thread that watches an event loop. Made on the thread of the loop, inside a task of it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.watched = threading.get_ident()
        self.schedstat = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self.machinery: set[CodeType] = set()
        self.answered = threading.Event()
        self.ending = threading.Event()
        self.told: dict[str, float] = {}
        self.thread = threading.Thread(target=self._watch, name="loop-watcher", daemon=True)
        loop.call_soon(self._learn)

    def _learn(self) -> None:
        """What is on the stack below every callback is the loop itself: uvloop's, asyncio's, the server's."""
        self.machinery = {frame.f_code for frame in _frames(sys._getframe(1))}

    def _watch(self) -> None:
        while not self.ending.is_set():
            self.answered.clear()
            asked, used, starved = time.monotonic(), time.process_time(), self.starved_seconds()
            try:
                self.loop.call_soon_threadsafe(self.loop.call_later, PING_INTERVAL_SECONDS, self.answered.set)
            except RuntimeError:  # the loop is closed
                return
            if self.answered.wait(PING_INTERVAL_SECONDS + BLOCKED_AFTER_SECONDS):
                continue
            place = self.place()
            if place and is_blocked(time.monotonic() - asked, time.process_time() - used):
                self._tell(place, asked + PING_INTERVAL_SECONDS, starved)

    def starved_seconds(self) -> float:
        """Time that the loop's thread has waited for a processor so far. Linux alone counts it."""
        try:
            return int(self.schedstat.read_text(encoding="ascii").split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            return 0.0

    def _tell(self, place: str, since: float, starved: float) -> None:
        """Report the line. One of the framework's is not for the project to mend: it is a line for debugging."""
        let_go = self.answered.wait(REPORT_AFTER_SECONDS)
        now = time.monotonic()
        seconds = now - since - (self.starved_seconds() - starved)
        if let_go and seconds < BLOCKED_AFTER_SECONDS:  # it waited for a processor
            return
        if now - self.told.get(place, -REPEAT_AFTER_SECONDS) < REPEAT_AFTER_SECONDS:
            return
        self.told[place] = now
        held = (
            f"held the event loop for {seconds:.2f} s"
            if let_go
            else f"holds the event loop, {REPORT_AFTER_SECONDS} s so far"
        )
        level = logging.DEBUG if place.startswith(f"{display_path(FRAMEWORK)}/") else logging.WARNING
        logger.log(level, "%s %s. Await it, or give it to a thread: asyncio.to_thread (docs/async.md).", place, held)

    def place(self) -> str:
        """The line that holds the loop, with its text; nothing if the loop is idle or the line is excused."""
        stack = _frames(sys._current_frames().get(self.watched))
        frames = list(takewhile(lambda frame: frame.f_code not in self.machinery, stack))
        names = [str(frame.f_globals.get("__name__")) for frame in frames]
        if not frames or names[0] in IDLE_MODULES or any(name.split(".")[0] in IGNORED_MODULES for name in names):
            return ""
        if any(frame.f_code is COMPILES_TEMPLATE for frame in frames):
            return ""
        own = next(filter(_is_own, frames), frames[0])
        inside = "" if own is frames[0] else f", inside {names[0]}.{frames[0].f_code.co_qualname}"
        return f"{_shown(own)} ({linecache.getline(own.f_code.co_filename, own.f_lineno or 0).strip()}{inside})"


def is_blocked(waited: float, computed: float) -> bool:
    """Whether the loop was blocked, by seconds waited and computed. Else the process was stopped or starved."""
    return waited < 2 * BLOCKED_AFTER_SECONDS or computed > BLOCKED_AFTER_SECONDS


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    """The innermost first."""
    while frame:
        yield frame
        frame = frame.f_back


def _is_own(frame: FrameType) -> bool:
    path = Path(frame.f_code.co_filename)
    return path.suffix == ".py" and path.is_relative_to(PROJECT) and not {".venv", "site-packages"} & set(path.parts)


def _shown(frame: FrameType) -> str:
    return f"{display_path(Path(frame.f_code.co_filename))}:{frame.f_lineno}"
