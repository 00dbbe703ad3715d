"""Short SQLite statements without a hop: they run in the event loop's thread.

A hop wakes two threads that then compete for Python's lock, once per row. With four connections, that costs a request
more than its statements. What may hold up the event loop keeps its hop: statements that run for the first time, took
long before, change more than one row, end a transaction, or would wait for the lock of another process.
"""

import math
from time import monotonic, thread_time

from opportune.speedups.hops import Hop, HopExecutor

MAX_PROCESSOR_SECONDS = 0.001
"""Processor time of a short statement. After a longer run, the next one has a hop again."""
MAX_SECONDS = 0.02
"""Seconds after which all statements get their hop back for `PAUSE_SECONDS`: the disk or the machine is slow."""
PAUSE_SECONDS = 1
MAX_STATEMENTS = 1000
"""Statements that are remembered. Their texts have no values, so that a site has a few hundred."""


class QuickStatements:
    """Statements of an engine that were short, by their SQL."""

    def __init__(self) -> None:
        self._quick_from: dict[str, float] = {}
        self._paused_until = 0.0

    def run(self, executor: HopExecutor, statement: str, hop: Hop) -> bool:
        """Run a statement in the calling thread if it is known as short. Return False if it still needs its hop."""
        started_at = monotonic()
        if started_at < max(self._quick_from.get(statement, math.inf), self._paused_until):
            return False
        processor_started_at = thread_time()
        if not executor.run_at_once(statement, hop):
            self._quick_from[statement] = started_at + PAUSE_SECONDS
            return False
        if thread_time() - processor_started_at > MAX_PROCESSOR_SECONDS:
            self._quick_from[statement] = math.inf
        if monotonic() - started_at > MAX_SECONDS:
            self._paused_until = started_at + PAUSE_SECONDS
        return True

    def record(self, statement: str, hop: Hop) -> None:
        """Remember whether a statement that ran in the driver's thread was short."""
        if not (statement.startswith("SELECT") or (statement.startswith("INSERT") and " VALUES " in statement)):
            return
        if len(self._quick_from) >= MAX_STATEMENTS:
            self._quick_from.clear()
        if hop.processor_seconds > MAX_PROCESSOR_SECONDS:
            self._quick_from[statement] = math.inf
        elif self._quick_from.get(statement, math.inf) == math.inf:  # otherwise it may be paused
            self._quick_from[statement] = 0
