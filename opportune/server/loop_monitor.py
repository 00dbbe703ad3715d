"""Reports lines of code that block the event loop, in development.

A thread pings the loop. If the loop responds late, the thread inspects the stack of the loop's thread.
"""

import asyncio
import linecache
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import takewhile
from pathlib import Path
from types import CodeType, FrameType

from jinja2 import BaseLoader

from opportune.project.layout import PROJECT, display_path, is_project_code
from opportune.web.static.files import Assets

logger = logging.getLogger(__name__)

BLOCKED_AFTER_SECONDS = 0.1
"""Maximum delay of a ping."""
PING_INTERVAL_SECONDS = 0.025
"""Seconds between pings."""
REPORT_AFTER_SECONDS = 10
"""Seconds after which a line is reported that still blocks the loop."""
REPEAT_AFTER_SECONDS = 60
"""Seconds until the same line is reported again."""

IGNORED_MODULES = {"importlib", "bdb", "pdb", "debugpy", "pydevd", "_pydevd_bundle"}
"""Imports happen once, and a debugger blocks the loop on purpose."""
IGNORED_CODE = {BaseLoader.load.__code__, Assets.url.__code__, threading.Thread.start.__code__}
"""Preparation of templates and assets, and the start of a thread, which waits for a processor on a busy machine."""
IDLE_MODULES = {"selectors", "asyncio.windows_events"}


@asynccontextmanager
async def monitor_loop() -> AsyncIterator[None]:
    """Log a warning with the line of each call that blocks the running loop."""
    monitor = LoopMonitor(asyncio.get_running_loop())
    monitor.thread.start()
    try:
        yield
    finally:
        monitor.is_stopping.set()
        await asyncio.to_thread(monitor.thread.join)  # the loop must keep running until then


class LoopStack:
    """The stack of an event loop's thread. Create it in a task of the loop, and read it in another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._thread_id = threading.get_ident()
        self._loop_code: set[CodeType] = set()
        """Code of the loop and the server, which is below every callback in the stack."""
        loop.call_soon(self._record_loop_code)

    def _record_loop_code(self) -> None:
        self._loop_code = {frame.f_code for frame in _frames(sys._getframe(1))}

    def find_blocking_line(self) -> str:
        """Return the line that blocks the loop, with its text; empty if the loop is idle or the line is ignored."""
        stack = _frames(sys._current_frames().get(self._thread_id))
        frames = list(takewhile(lambda frame: frame.f_code not in self._loop_code, stack))
        if not frames or _is_ignored(frames):
            return ""
        innermost = frames[0]
        frame = next((frame for frame in frames if is_project_code(Path(frame.f_code.co_filename))), innermost)
        inside = "" if frame is innermost else f", inside {_module_of(innermost)}.{innermost.f_code.co_qualname}"
        number = frame.f_lineno or 0
        if template := frame.f_globals.get("__jinja_template__"):
            number = template.get_corresponding_lineno(number)
        source = linecache.getline(frame.f_code.co_filename, number).strip()
        return f"{display_path(Path(frame.f_code.co_filename))}:{number} ({source}{inside})"


class LoopMonitor:
    """A thread that watches an event loop. Create it in a task of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.stack = LoopStack(loop)
        self.schedstat = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self.has_responded = threading.Event()
        """Set when the loop has responded to the last ping."""
        self.is_stopping = threading.Event()
        self.reported_at: dict[str, float] = {}
        """Times of the last reports by line."""
        self.thread = threading.Thread(target=self._watch, name="loop-watcher", daemon=True)

    def _watch(self) -> None:
        while not self.is_stopping.is_set():
            self.has_responded.clear()
            pinged_at = time.monotonic()
            cpu_seconds = time.process_time()
            starved_before = self.starved_seconds()
            try:
                self.loop.call_soon_threadsafe(self.loop.call_later, PING_INTERVAL_SECONDS, self.has_responded.set)
            except RuntimeError:  # the loop is closed
                return
            if self.has_responded.wait(PING_INTERVAL_SECONDS + BLOCKED_AFTER_SECONDS):
                continue
            line = self.stack.find_blocking_line()
            if line and is_blocked(time.monotonic() - pinged_at, time.process_time() - cpu_seconds):
                self._report(line, pinged_at + PING_INTERVAL_SECONDS, starved_before)

    def starved_seconds(self) -> float:
        """Return the time that the loop's thread has waited for a processor. Only Linux reports it."""
        try:
            return int(self.schedstat.read_text(encoding="ascii").split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            return 0.0

    def _report(self, line: str, blocked_since: float, starved_before: float) -> None:
        """Log a line of the project as a warning, and a line of the framework or a library for debugging."""
        has_ended = self.has_responded.wait(REPORT_AFTER_SECONDS)
        now = time.monotonic()
        seconds = now - blocked_since - (self.starved_seconds() - starved_before)
        if has_ended and seconds < BLOCKED_AFTER_SECONDS:  # the thread only waited for a processor
            return
        if now - self.reported_at.get(line, -REPEAT_AFTER_SECONDS) < REPEAT_AFTER_SECONDS:
            return
        self.reported_at[line] = now
        message = f"has blocked the event loop for {REPORT_AFTER_SECONDS} s"
        if has_ended:
            message = f"blocked the event loop for {seconds:.2f} s"
        file = PROJECT / line.partition(" ")[0].rpartition(":")[0]
        level = logging.WARNING if is_project_code(file) else logging.DEBUG
        advice = "Await it, or run it in a thread with asyncio.to_thread (oppman.py docs async)."
        logger.log(level, "%s %s. %s", line, message, advice)


def _is_ignored(frames: Sequence[FrameType]) -> bool:
    """Return whether the loop is idle, or runs code that may block it. The innermost frame is the first."""
    modules = [_module_of(frame) for frame in frames]
    if modules[0] in IDLE_MODULES or any(frame.f_code in IGNORED_CODE for frame in frames):
        return True
    return not IGNORED_MODULES.isdisjoint(module.split(".")[0] for module in modules)


def is_blocked(waited_seconds: float, cpu_seconds: float) -> bool:
    """Return whether the loop was blocked. A process that used little CPU time was stopped or starved instead."""
    return waited_seconds < 2 * BLOCKED_AFTER_SECONDS or cpu_seconds > BLOCKED_AFTER_SECONDS


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield the frames of a stack, innermost first."""
    while frame:
        yield frame
        frame = frame.f_back


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))
