"""Accepts many connections in a few iterations of the event loop, and only a fair share beside other workers.

uvloop accepts one connection per iteration. After a deploy, when all clients reconnect, the last ones and the health
check of the host would wait for seconds.
"""

import asyncio
import socket
import ssl
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvloop

from opportune.server.workers import OpenConnections, Shares

MAX_ACCEPTED_PER_TURN = 64
"""Maximum connections accepted per iteration of the event loop, about 3 ms of work."""
YIELD_SECONDS = 0.01
"""Pause in which workers with fewer connections accept those that wait. Those workers may be killed or frozen, so
afterwards this one continues.
"""
ERROR_PAUSE_SECONDS = 1.0
"""Pause after an error such as too many open files. asyncio has the same."""
QUEUE_LENGTH_OFFSET_BYTES = 24
"""Position of `tcpi_unacked` in Linux's `struct tcp_info`: the queue length of a listening socket."""


class Loop(uvloop.Loop):
    """uvloop with servers that accept connections with an `Acceptor`."""

    def __init__(self, shares: Shares | None = None) -> None:
        super().__init__()
        self._shares = shares

    async def create_server(  # type: ignore[override]  # uvloop's has two signatures
        self, protocol_factory: Callable[[], asyncio.Protocol], *address: Any, sock: Any = None, **options: Any
    ) -> Any:
        if sock is None:
            return await super().create_server(protocol_factory, *address, **options)
        sock.setblocking(False)
        return Acceptor(self, sock, protocol_factory, options.get("ssl"), self._shares)


class Acceptor:
    """Accepts connections at a listening socket until it is closed. uvicorn uses it as a server."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None = None,
        shares: Shares | None = None,
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._make_protocol = make_protocol
        self._tls = tls
        self._shares = shares
        self._connecting = set[asyncio.Task[None]]()
        self._pause: asyncio.TimerHandle | None = None
        loop.add_reader(listener, self._accept_share)

    def close(self) -> None:
        if self._pause:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)

    async def wait_closed(self) -> None:
        """Return immediately. uvicorn waits for the connections itself."""

    def _accept_share(self) -> None:
        share = MAX_ACCEPTED_PER_TURN
        if self._shares:
            share = self._shares.of_this_worker(self._count_open(), waiting_connections(self._listener))
        if share > 0:
            self._accept(share)
        else:
            self._pause_for(YIELD_SECONDS)

    def _accept(self, maximum: int) -> None:
        for _ in range(min(maximum, MAX_ACCEPTED_PER_TURN)):
            try:
                connection, _address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._loop.call_exception_handler({"message": "A connection cannot be accepted", "exception": error})
                self._pause_for(ERROR_PAUSE_SECONDS)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._connect(connection))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
            if self._shares:
                self._shares.accepted(self._count_open())

    async def _connect(self, connection: socket.socket) -> None:
        with suppress(OSError):  # the client has left
            await self._loop.connect_accepted_socket(self._make_protocol, connection, ssl=self._tls)

    def _count_open(self) -> int:
        return len(OpenConnections.of_server) + len(self._connecting)

    def _pause_for(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        """Accept half of the connections that the other workers have not accepted, and continue."""
        self._pause = None
        self._accept(max(1, waiting_connections(self._listener) // 2))
        if self._pause is None:
            self._loop.add_reader(self._listener, self._accept_share)


def waiting_connections(listener: socket.socket) -> int:
    """Return the length of the queue; if unknown, as many as are accepted per turn."""
    if sys.platform != "linux":
        return MAX_ACCEPTED_PER_TURN
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, QUEUE_LENGTH_OFFSET_BYTES + 4)
    return struct.unpack_from("I", info, QUEUE_LENGTH_OFFSET_BYTES)[0] or MAX_ACCEPTED_PER_TURN
