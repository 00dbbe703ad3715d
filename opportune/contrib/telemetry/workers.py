"""Reports of all workers of a server, collected by the worker that handles the request.

Each worker listens on a Unix socket with an abstract name, which needs no writable disk. Only Linux has such names. On
other systems a worker only reports itself.
"""

import asyncio
import json
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import State

from opportune.contrib.telemetry.collect import process_metrics
from opportune.contrib.telemetry.metrics import Family
from opportune.contrib.telemetry.process import STARTED_AT, lag_seconds, resident_memory_bytes
from opportune.server.workers import WORKERS_VARIABLE

REPORT_TIMEOUT_SECONDS = 2.0
LAG_INTERVAL_SECONDS = 0.005
"""Time in which a worker measures the lag of its event loop for a report."""


@dataclass(frozen=True)
class WorkerReport:
    """State of one worker."""

    worker: int
    """Number from 0. A worker that replaces another one takes over its number."""
    pid: int
    started_at: float
    memory_bytes: int
    lag_seconds: float
    families: list[Family]
    """Metrics of the worker."""


class Workers:
    """Group of workers of this server, or only this process."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.number = 0
        group = os.environ.get(WORKERS_VARIABLE, "") if sys.platform == "linux" else ""
        self._name, _, count = group.partition(":")
        self._numbers = range(int(count) + 1) if count else range(1)
        """One number more than there are workers: after SIGHUP a new worker starts before the old one ends."""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Send reports to the other workers until the block ends."""
        listener = self._bind_socket() if self._name else None
        if listener is None or sys.platform != "linux":
            yield
            return
        server = await asyncio.start_unix_server(self._send_report, sock=listener)
        try:
            yield
        finally:
            server.close()

    async def reports(self) -> list[WorkerReport]:
        """Return the reports of all workers that respond in time, ordered by number."""
        numbers = [number for number in self._numbers if number != self.number]
        reports = await asyncio.gather(self.create_report(), *map(self._request_report, numbers))
        return sorted(filter(None, reports), key=lambda report: report.worker)

    async def create_report(self) -> WorkerReport:
        lag = await lag_seconds(LAG_INTERVAL_SECONDS)
        return WorkerReport(
            self.number, os.getpid(), STARTED_AT, resident_memory_bytes(), lag, [*process_metrics(self._state)]
        )

    def _address(self, number: int) -> str:
        return f"\0opportune-{self._name}-{number}"

    def _bind_socket(self) -> socket.socket | None:
        """Bind the first free number's socket. The operating system frees it when the process ends."""
        if sys.platform != "linux":
            return None
        for number in self._numbers:
            listener = socket.socket(socket.AF_UNIX)
            try:
                listener.bind(self._address(number))
            except OSError:
                listener.close()
                continue
            self.number = number
            return listener
        return None

    async def _send_report(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            if _is_same_user(writer):
                writer.write(json.dumps(asdict(await self.create_report())).encode())
                await writer.drain()
        writer.close()

    async def _request_report(self, number: int) -> WorkerReport | None:
        if sys.platform != "linux":
            return None
        try:
            async with asyncio.timeout(REPORT_TIMEOUT_SECONDS):
                reader, writer = await asyncio.open_unix_connection(sock=await _connect_socket(self._address(number)))
                try:
                    content = await reader.read(-1) if _is_same_user(writer) else b""
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return None
        return _parse_report(content)


async def _connect_socket(address: str) -> socket.socket:
    """Connect a socket here, because uvloop does not support abstract names."""
    if sys.platform != "linux":
        raise OSError
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(client, address)
    except BaseException:
        client.close()
        raise
    return client


def _parse_report(content: bytes) -> WorkerReport | None:
    """Return None for an incomplete report, or one of another version during a deployment."""
    with suppress(ValueError, TypeError, KeyError):
        values: dict[str, Any] = json.loads(content)
        return WorkerReport(**{**values, "families": [Family(**family) for family in values["families"]]})
    return None


def _is_same_user(writer: asyncio.StreamWriter) -> bool:
    """Check the user of the other process: any user may connect to an abstract socket."""
    if sys.platform != "linux":
        return False
    peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", peer)[1]
    return uid == os.getuid()


def get_workers(app: FastAPI) -> Workers:
    if not hasattr(app.state, "workers"):
        app.state.workers = Workers(app.state)
    workers: Workers = app.state.workers
    return workers
