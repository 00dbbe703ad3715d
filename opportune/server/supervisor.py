"""Supervisor of several workers."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from opportune.server.handover import START_TIMEOUT_SECONDS, report_ready
from opportune.server.proxies import ServerConfig


class Supervisor(Multiprocess):
    """Gives each worker its own socket and reports when all are ready. At SIGHUP, it replaces them one after another.

    The supervisor keeps the sockets open, so connections wait for the next worker if one dies.
    """

    config: ServerConfig
    has_reported = False

    def init_processes(self) -> None:
        for index in range(self.processes_num):
            with self._only(index):
                self.processes.append(Process(self.config, self.sockets))
                self.processes[0].start()

    def keep_subprocess_alive(self) -> None:
        for index in range(len(self.processes)):
            with self._only(index):
                super().keep_subprocess_alive()
        if not self.has_reported and all(process.is_ready() for process in self.processes):
            self.has_reported = True
            report_ready()

    def restart_all(self) -> None:
        original_timeout = self.config.timeout_worker_healthcheck
        self.config.timeout_worker_healthcheck = int(START_TIMEOUT_SECONDS)
        try:
            for index, process in enumerate(self.processes):
                with self._only(index):
                    super().restart_all()
                if self.processes[index] is process:  # the new version does not start
                    return
        finally:
            self.config.timeout_worker_healthcheck = original_timeout

    def handle_ttin(self) -> None:
        with self._only(len(self.processes)):
            super().handle_ttin()

    def handle_ttou(self) -> None:
        super().handle_ttou()
        for listener in self.sockets[max(len(self.processes), 1) :]:
            listener.close()
        del self.sockets[len(self.processes) :]

    @contextmanager
    def _only(self, index: int) -> Iterator[None]:
        """Limit the methods of uvicorn to one worker and its socket."""
        processes, sockets = self.processes, self.sockets
        self.processes, self.sockets = processes[index : index + 1], [sockets[index % len(sockets)]]
        if self.config.acceptor:
            self.config.acceptor.listener = self.sockets[0]
        try:
            yield
        finally:
            processes[index : index + 1] = self.processes
            self.processes, self.sockets = processes, sockets


def sockets_of_workers(listener: socket.socket, workers: int) -> list[socket.socket]:
    """Return a socket for each worker, so that the kernel spreads connections evenly. Elsewhere they share one.

    The port is reserved without SO_REUSEPORT, so that a second server on it is refused.
    """
    listeners = [listener]
    if sys.platform != "linux":
        return listeners
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    while len(listeners) < workers:
        following = socket.socket(listener.family)
        following.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        following.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            following.bind(listener.getsockname())
        except OSError:  # the socket comes from another process
            following.close()
            break
        listeners.append(following)
    return listeners
