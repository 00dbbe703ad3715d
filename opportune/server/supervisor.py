"""Supervisor of several workers."""

import signal
import socket
import threading
from contextlib import suppress

from uvicorn.supervisors import Multiprocess

from opportune.server.config import ServerConfig
from opportune.server.handover import START_TIMEOUT_SECONDS, report_ready
from opportune.server.workers import Shares

FIRST_HEALTHCHECK_SECONDS = 30
"""Seconds for a new process to start before it must respond. uvicorn's 5 are not enough on a busy machine."""


class Supervisor(Multiprocess):
    """Reports when all workers are ready. At SIGHUP, it replaces the workers one after another.

    All workers accept from the same socket, so that no connection waits for a killed or frozen worker.
    """

    config: ServerConfig
    has_reported = False
    _started_workers: frozenset[int | None] = frozenset()

    def __init__(self, config: ServerConfig, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def _stop(self, number: int, _frame: object) -> None:
        """Also end the replacement of workers, during which uvicorn handles no signals."""
        self.signal_queue.append(number)
        # A thread, because the main thread may hold the lock of the event.
        threading.Thread(target=self.should_exit.set).start()

    def init_processes(self) -> None:
        with suppress(OSError):  # without a writable /dev/shm, each worker accepts what it can
            self.config.shares = Shares(self.processes_num)
        super().init_processes()

    def keep_subprocess_alive(self) -> None:
        workers = self._register_workers()
        for process in self.processes:
            if process.pid not in self._started_workers:
                process.wait_until_ready(FIRST_HEALTHCHECK_SECONDS, self.should_exit)
        if not self.has_reported and all(process.exitcode for process in self.processes):
            self.should_exit.set()  # new workers would fail for the same reason, again and again
        super().keep_subprocess_alive()
        self._started_workers = workers
        if not self.has_reported and all(process.is_ready() for process in self.processes):
            self.has_reported = True
            report_ready()

    def restart_all(self) -> None:
        original_timeout = self.config.timeout_worker_healthcheck
        self.config.timeout_worker_healthcheck = int(START_TIMEOUT_SECONDS)
        try:
            super().restart_all()
        finally:
            self.config.timeout_worker_healthcheck = original_timeout
        self._register_workers()

    def _register_workers(self) -> frozenset[int | None]:
        workers = [process.pid for process in self.processes]
        if self.config.shares:
            self.config.shares.register(workers)
        return frozenset(workers)
