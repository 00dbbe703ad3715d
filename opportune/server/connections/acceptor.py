"""Accepts hundreds who connect at once in a few turns of the event loop.

uvloop accepts one connection in each turn. After a deploy, when everybody is back in the same moment, the last would
wait for seconds, and a host's health check with them.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

MAX_ACCEPTED_PER_TURN = 64
"""Connections that are accepted between two looks of the event loop at its sockets: 3 ms of work."""


class Acceptor:
    """Accepts those who wait at a socket beside the one whom the event loop has accepted."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._is_due = False
        self._connecting = set[asyncio.Task[None]]()

    def accept_others(self, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        """Look for others soon: once in a turn, however many have connected in it."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._accept, make_protocol)

    def _accept(self, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._is_due = False
        for _ in range(MAX_ACCEPTED_PER_TURN):
            try:
                connection, _address = self._listener.accept()
            except OSError:  # nobody waits, or there is something of which the event loop takes care
                return
            connection.setblocking(False)
            task = asyncio.create_task(_connect(connection, make_protocol))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)


async def _connect(connection: socket.socket, make_protocol: Callable[[], asyncio.Protocol]) -> None:
    with suppress(OSError):  # whoever it was has gone
        await asyncio.get_running_loop().connect_accepted_socket(make_protocol, connection)
