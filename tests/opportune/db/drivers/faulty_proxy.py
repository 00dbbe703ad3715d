"""TCP proxy that simulates network failures."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class FaultyProxy:
    """Proxy that forwards all data until a test starts a failure. `restore` ends the failure."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.connection_count = 0
        self._is_forwarding = asyncio.Event()
        self._is_forwarding.set()
        self._remaining_resets = 0
        self._server: asyncio.Server | None = None
        self._tasks: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        await self.restore()
        yield
        tasks = list(self._tasks.values())
        self.refuse()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def restore(self) -> None:
        self._is_forwarding.set()
        self._remaining_resets = 0
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def silence(self) -> None:
        """Keep connections open and accept new ones, but forward nothing."""
        self._is_forwarding.clear()

    def cut(self, next_connections: int = 0) -> None:
        """Reset all open connections, and as many new ones."""
        self._remaining_resets = next_connections
        for writer, task in self._tasks.items():
            _reset(writer)
            task.cancel()
        self._tasks.clear()

    def refuse(self) -> None:
        """Close all connections and accept none."""
        if self._server:
            self._server.close()
            self._server = None
        self.cut()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection_count += 1
        if self._remaining_resets:
            self._remaining_resets -= 1
            _reset(writer)
        else:
            self._tasks[writer] = asyncio.create_task(self._forward_connection(reader, writer))

    async def _forward_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            with suppress(ConnectionRefusedError):
                upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self.target)
                writers.append(upstream_writer)
                await asyncio.gather(self._forward(reader, upstream_writer), self._forward(upstream_reader, writer))
        finally:
            self._tasks.pop(writer, None)
            for open_writer in writers:
                open_writer.transport.abort()
                with suppress(OSError):
                    await open_writer.wait_closed()

    async def _forward(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await self._is_forwarding.wait()
                target.write(data)
                await target.drain()
        target.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # closed by the other side
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()
