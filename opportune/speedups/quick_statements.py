"""Short SQLite statements without a hop: they run in the event loop's thread.

A hop wakes two threads that then compete for Python's lock, once per row. With four connections, that costs a request
more than its statements. What may hold up the event loop keeps its hop: statements that run for the first time, took
long before, change more than one row, end a transaction, or would wait for the lock of another process.
"""

import math
from time import monotonic

from opportune.speedups.hops import Hop, HopExecutor

MAX_PROCESSOR_SECONDS = 0.001
"""Processor time of a short statement in the driver's thread."""
MAX_SECONDS = 0.02
"""Seconds after which a statement, such as one that waits for a disk, gets its hop back for `PAUSE_SECONDS`."""
PAUSE_SECONDS = 1
MAX_STATEMENTS = 1000
"""Statements that are remembered. Their texts have no values, so that a site has a few hundred."""


class QuickStatements:
    """Statements of an engine that were short in the driver's thread, by their SQL."""

    def __init__(self) -> None:
        self._quick_from: dict[str, float] = {}

    def run(self, executor: HopExecutor, statement: str, hop: Hop) -> bool:
        """Run a statement in the calling thread if it is known as short. Return False if it still needs its hop."""
        started_at = monotonic()
        if started_at < self._quick_from.get(statement, math.inf):
            return False
        is_finished = executor.run_at_once(statement, hop)
        if not is_finished or monotonic() - started_at > MAX_SECONDS:
            self._quick_from[statement] = started_at + PAUSE_SECONDS
        return is_finished

    def record(self, statement: str, hop: Hop) -> None:
        """Remember a statement that ran in the driver's thread, if it was short."""
        is_single = statement.startswith("SELECT") or (statement.startswith("INSERT") and " VALUES " in statement)
        if not is_single or hop.processor_seconds > MAX_PROCESSOR_SECONDS:
            return
        if len(self._quick_from) >= MAX_STATEMENTS:
            self._quick_from.clear()
        self._quick_from.setdefault(statement, 0)
