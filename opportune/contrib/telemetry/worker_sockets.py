"""Messages between the workers of a server.

Each worker listens on a Unix socket with an abstract name, which needs no writable disk. Only Linux has such names. On
other systems a worker has no contact with the others.
"""

import asyncio
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress

TIMEOUT_SECONDS = 2.0


class WorkerSockets:
    """Sockets of a group of workers.

    Args:
        group: Name and size of the group, as in `name:4`. A worker of no group has no contact with others.
    """

    number = 0
    """Number of the worker from 0. A worker that replaces another one takes over its number."""

    def __init__(self, group: str) -> None:
        self._name, _, count = group.partition(":")
        has_group = bool(group) and sys.platform == "linux"
        # One number more than there are workers: after SIGHUP a new worker starts before the old one ends.
        self._numbers = range(int(count) + 1) if has_group else range(0)

    @asynccontextmanager
    async def listening(self, write_message: Callable[[], Awaitable[bytes]]) -> AsyncIterator[None]:
        """Send a new message to each worker that requests one, until the block ends."""

        async def send(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with closing(writer), suppress(OSError):
                if _is_same_user(writer):
                    writer.write(await write_message())
                    await writer.drain()

        listener = self._bind_socket()
        if listener is None or sys.platform != "linux":
            yield
            return
        server = await asyncio.start_unix_server(send, sock=listener)
        try:
            yield
        finally:
            server.close()

    async def request_messages(self) -> Sequence[bytes]:
        """Return the messages of the other workers that respond in time."""
        return await asyncio.gather(
            *(self._request_message(number) for number in self._numbers if number != self.number)
        )

    def _address(self, number: int) -> str:
        return f"\0opportune-{self._name}-{number}"

    def _bind_socket(self) -> socket.socket | None:
        """Bind the first free number's socket. The operating system frees it when the process ends."""
        if sys.platform == "linux":
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

    async def _request_message(self, number: int) -> bytes:
        """Return the message of a worker; empty if it does not respond in time."""
        if sys.platform != "linux":
            return b""
        with socket.socket(socket.AF_UNIX) as client:
            client.setblocking(False)
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    # uvloop does not support abstract names.
                    await asyncio.get_running_loop().sock_connect(client, self._address(number))
                    reader, writer = await asyncio.open_unix_connection(sock=client)
                    with closing(writer):
                        return await reader.read(-1) if _is_same_user(writer) else b""
            except (OSError, TimeoutError):
                return b""


def _is_same_user(writer: asyncio.StreamWriter) -> bool:
    """Check the user of the other process: any user may connect to an abstract socket."""
    if sys.platform != "linux":
        return False
    peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", peer)[1]
    return uid == os.getuid()
