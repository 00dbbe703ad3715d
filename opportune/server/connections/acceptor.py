"""Accepts many new connections in a few iterations of the event loop.

uvloop accepts one connection per iteration. After a deploy, when all clients reconnect, the last ones and the health
check of the host would wait for seconds.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

MAX_ACCEPTED_PER_TURN = 64
"""Maximum connections accepted per iteration of the event loop, about 3 ms of work."""


class Acceptor:
    """Accepts the connections that wait at a socket, after the event loop has accepted one."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self._is_scheduled = False
        self._connecting = set[asyncio.Task[None]]()

    def accept_waiting(self, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        """Accept waiting connections soon, once per iteration."""
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._accept, make_protocol)

    def _accept(self, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._is_scheduled = False
        for _ in range(MAX_ACCEPTED_PER_TURN):
            try:
                connection, _address = self.listener.accept()
            except OSError:  # no connection waits, or the event loop reports the error
                return
            connection.setblocking(False)
            task = asyncio.create_task(_connect(connection, make_protocol))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)


async def _connect(connection: socket.socket, make_protocol: Callable[[], asyncio.Protocol]) -> None:
    with suppress(OSError):  # the client has left
        await asyncio.get_running_loop().connect_accepted_socket(make_protocol, connection)
