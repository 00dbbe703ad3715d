"""TCP proxy that simulates network failures."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class FaultyProxy:
    """Proxy that forwards all data until a failure is set. `restore` ends the failure."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.visits = 0
        self._passing = asyncio.Event()
        self._passing.set()
        self._cuts = 0
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        await self.restore()
        yield
        tasks = list(self._open.values())
        self.refuse()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def restore(self) -> None:
        self._passing.set()
        self._cuts = 0
        if self._server is None:
            self._server = await asyncio.start_server(self._enter, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def silence(self) -> None:
        """Keep and accept connections, but forward nothing."""
        self._passing.clear()

    def cut(self, more: int = 0) -> None:
        """Reset all connections, and the next `more` connections."""
        self._cuts = more
        for writer, task in self._open.items():
            _reset(writer)
            task.cancel()
        self._open.clear()

    def refuse(self) -> None:
        """Close all connections and accept none."""
        if self._server:
            self._server.close()
            self._server = None
        self.cut()

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        if self._cuts:
            self._cuts -= 1
            _reset(writer)
        else:
            self._open[writer] = asyncio.create_task(self._visit(reader, writer))

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            with suppress(ConnectionRefusedError):
                upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self.target)
                ends.append(upstream_writer)
                await asyncio.gather(self._pass(reader, upstream_writer), self._pass(upstream_reader, writer))
        finally:
            self._open.pop(writer, None)
            for end in ends:
                end.transport.abort()
                with suppress(OSError):
                    await end.wait_closed()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await self._passing.wait()
                target.write(data)
                await target.drain()
        target.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # closed by the other side
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()
