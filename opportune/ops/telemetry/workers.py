"""What the workers of one server tell one another: whichever of them is asked answers for all.

Each listens on a Unix socket of its own, below a name that their common parent has made up. On Linux that is a name in
the kernel and no file, so a read-only disk does; elsewhere it is a file in the folder for temporary ones. Windows has
no such sockets in asyncio: there each worker tells of itself alone.
"""

import asyncio
import json
import os
import platform
import socket
import struct
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import State

from opportune.ops.telemetry.metrics.collect import of_process
from opportune.ops.telemetry.metrics.families import Family
from opportune.ops.telemetry.process import STARTED_AT, WORKERS_VARIABLE, lag_seconds, resident_memory_bytes

HAS_KERNEL_NAMES = platform.system() == "Linux"
ANSWER_TIMEOUT_SECONDS = 2.0
LAG_LOOK_SECONDS = 0.005
"""Seconds in which a worker that is asked looks at how late its event loop is."""


@dataclass(frozen=True)
class WorkerReport:
    """What a worker tells of itself."""

    worker: int
    """From 0; one that takes another's place has its number."""
    pid: int
    started_at: float
    memory_bytes: int
    lag_seconds: float
    families: list[Family]
    """Its numbers for /metrics."""


class Workers:
    """The group that this process belongs to; alone where it has no others."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.number = 0
        name, _, count = os.environ.get(WORKERS_VARIABLE, "").partition(":")
        self._name = name
        self._numbers = range(int(count) + 1) if count else range(1)
        """One more than there are workers: at SIGHUP the next one is there before the one that it replaces ends."""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Answer the others until the block ends."""
        if not self._name or sys.platform == "win32":
            yield
            return
        listener = self._take_number()
        if listener is None:
            yield
            return
        server = await asyncio.start_unix_server(self._answer, sock=listener)
        try:
            yield
        finally:
            server.close()
            if path := self._file(self.number):
                path.unlink(missing_ok=True)

    async def reports(self) -> list[WorkerReport]:
        """What each of them tells, in the order of their numbers; without those that do not answer in time."""
        others = [number for number in self._numbers if number != self.number]
        found = await asyncio.gather(self.own_report(), *map(self._ask, others))
        return sorted(filter(None, found), key=lambda report: report.worker)

    async def own_report(self) -> WorkerReport:
        lag = await lag_seconds(LAG_LOOK_SECONDS)
        return WorkerReport(
            self.number, os.getpid(), STARTED_AT, resident_memory_bytes(), lag, [*of_process(self._state)]
        )

    def _address(self, number: int) -> str:
        return str(self._file(number) or f"\0opportune-{self._name}-{number}")

    def _file(self, number: int) -> Path | None:
        return None if HAS_KERNEL_NAMES else Path(tempfile.gettempdir()) / f"opportune-{self._name}-{number}"

    def _take_number(self) -> socket.socket | None:
        """The first that no other worker has. Its name is given back when a process ends, however that is."""
        if sys.platform == "win32":
            return None
        for number in self._numbers:
            listener = socket.socket(socket.AF_UNIX)
            if self._file(number) and not self._is_answered(number):
                Path(self._address(number)).unlink(missing_ok=True)  # a dead worker's
            try:
                listener.bind(self._address(number))
            except OSError:
                listener.close()
                continue
            self.number = number
            return listener
        return None

    def _is_answered(self, number: int) -> bool:
        if sys.platform == "win32":
            return False
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.connect(self._address(number))
            return True
        return False

    async def _answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            if _is_same_user(writer):
                writer.write(json.dumps(asdict(await self.own_report())).encode())
                await writer.drain()
        writer.close()

    async def _ask(self, number: int) -> WorkerReport | None:
        if sys.platform == "win32":
            return None
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                reader, writer = await asyncio.open_unix_connection(sock=await _connected(self._address(number)))
                try:
                    told = await reader.read(-1) if _is_same_user(writer) else b""
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return None
        return _parsed(told)


async def _connected(address: str) -> socket.socket:
    """A socket of our own: uvloop itself takes no names of the kernel's."""
    if sys.platform == "win32":
        raise OSError
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(client, address)
    except BaseException:
        client.close()
        raise
    return client


def _parsed(told: bytes) -> WorkerReport | None:
    """None of one that ended while it told, or of another version, as there is while one takes the other's place."""
    with suppress(ValueError, TypeError, KeyError):
        values: dict[str, Any] = json.loads(told)
        return WorkerReport(**{**values, "families": [Family(**each) for each in values["families"]]})
    return None


def _is_same_user(writer: asyncio.StreamWriter) -> bool:
    """Whether the other side is this user's: names of the kernel's are anybody's to connect to."""
    if sys.platform != "linux":
        return True  # the folder for temporary files and the socket's mode see to that
    peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", peer)[1]
    return uid == os.getuid()


def workers_of(app: FastAPI) -> Workers:
    """Return the workers of this server. Each of them reports for all."""
    if not hasattr(app.state, "workers"):
        app.state.workers = Workers(app.state)
    workers: Workers = app.state.workers
    return workers
