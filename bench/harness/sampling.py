"""Runs a server as `python -m bench.harness.sampling FILE uvicorn ARGUMENTS` and samples the code that it executes.

SIGUSR1 starts sampling. A second one ends it and writes the samples of the event loop by package, and the processor
time of the event loop and of the other threads, into the file as JSON. A sample belongs to the package of the innermost
Python function, so code in C belongs to its caller.
"""

import ctypes
import json
import runpy
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from bench.harness.counting import package_of

INTERVAL_NS = 1_000_000
"""Processor time of the event loop between two samples. The kernel rounds it up to its clock."""


class Sampler:
    """Samples of the main thread, which runs the event loop."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.packages: Counter[str] = Counter()
        self.started_at: tuple[float, float] | None = None
        signal.signal(signal.SIGUSR1, self._toggle)
        signal.signal(signal.SIGALRM, self._sample)

    def _toggle(self, _number: int, _frame: object) -> None:
        now = time.thread_time(), time.process_time()
        if self.started_at is None:
            self.packages.clear()
            self.started_at = now
            _start_timer(INTERVAL_NS)
            return
        loop_seconds, seconds = now[0] - self.started_at[0], now[1] - self.started_at[1]
        self.started_at = None
        complete = self.output.with_suffix(".part")
        complete.write_text(json.dumps([self.packages, loop_seconds, seconds - loop_seconds]))
        complete.replace(self.output)

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        if frame and self.started_at:
            self.packages[package_of(frame.f_code.co_filename)] += 1


def _start_timer(interval_ns: int) -> None:
    """Send SIGALRM at intervals of processor time of this thread. ITIMER_PROF would count all threads."""
    libc = ctypes.CDLL(None, use_errno=True)
    timer = ctypes.c_void_p()
    interval = (ctypes.c_long * 4)(0, interval_ns, 0, interval_ns)
    if libc.timer_create(time.CLOCK_THREAD_CPUTIME_ID, None, ctypes.byref(timer)) or libc.timer_settime(
        timer, 0, interval, None
    ):
        raise OSError(ctypes.get_errno(), "no timer of the processor time of a thread")


def main() -> None:
    _, output, module, *arguments = sys.argv
    Sampler(Path(output))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
