"""Workers that serve one socket: the name of their group, and the even spread of connections over them."""

import os
import secrets
from collections.abc import Sequence
from math import ceil
from typing import Any, ClassVar

WORKERS_VARIABLE = "OPPORTUNE_WORKERS"
"""Environment variable with the name and size of a group of workers, set by their parent process."""


class OpenConnections:
    """Open connections of the server of this process."""

    of_server: ClassVar[set[Any]] = set()
    """uvicorn's set, from the first connection on."""


class Shares:
    """Open connections of each worker, in memory that the supervisor shares with its workers.

    Each entry has one writer, so there is no lock that a killed or frozen worker could hold.
    """

    def __init__(self, workers: int) -> None:
        from multiprocessing.sharedctypes import RawArray, RawValue  # a single worker needs no ctypes

        size = 2 * workers  # SIGTTIN adds workers; those beyond the size accept without a limit
        self._process_ids = RawArray("i", size)
        self._open_connections = RawArray("i", size)
        self._last_process_id = RawValue("i")

    def register(self, process_ids: Sequence[int | None]) -> None:
        """Set the process ids of the workers. A new worker begins without connections."""
        for index in range(len(self._process_ids)):
            process_id = (process_ids[index] if index < len(process_ids) else None) or 0
            if self._process_ids[index] != process_id:
                self._open_connections[index] = 0
                self._process_ids[index] = process_id

    def of_this_worker(self, open_connections: int, waiting_connections: int) -> int:
        """Return how many waiting connections this worker may accept, so that all workers have equally many.

        Among equals, the worker that accepted last leaves the next connection to the others.
        """
        if not self._publish(open_connections):
            return waiting_connections
        counts = zip(self._process_ids, self._open_connections, strict=True)
        loads: dict[int, int] = {process_id: count for process_id, count in counts if process_id}
        last_process_id: int = self._last_process_id.value
        if last_process_id in loads:
            loads[last_process_id] += 1
        return ceil((sum(loads.values()) + waiting_connections) / len(loads)) - loads[os.getpid()]

    def accepted(self, open_connections: int) -> None:
        """Tell the other workers that this one has accepted connections."""
        self._last_process_id.value = os.getpid()
        self._publish(open_connections)

    def _publish(self, open_connections: int) -> bool:
        """Set the number of this worker. Return False if the supervisor has not registered it yet."""
        process_ids = self._process_ids[:]
        process_id = os.getpid()
        if process_id not in process_ids:
            return False
        self._open_connections[process_ids.index(process_id)] = open_connections
        return True


def create_worker_group(workers: int) -> None:
    """Give the child processes a common group name, with which they find each other."""
    os.environ[WORKERS_VARIABLE] = f"{secrets.token_hex(8)}:{workers}"


def workers_of_group() -> int:
    """Return the number of workers in the group of this process."""
    return int(os.environ[WORKERS_VARIABLE].partition(":")[2])
