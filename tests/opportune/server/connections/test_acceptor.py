"""Acceptance of many connections in a few iterations of uvloop, which itself accepts one per iteration."""

import asyncio
import socket
import sys
from contextlib import ExitStack

import pytest

from opportune.server.connections.acceptor import MAX_ACCEPTED_PER_TURN, Acceptor

if sys.platform == "win32":
    pytest.skip("There is no uvloop.", allow_module_level=True)
import uvloop

CONNECTION_COUNT = 4 * MAX_ACCEPTED_PER_TURN
TIMEOUT_SECONDS = 30


class RecordingProtocol(asyncio.Protocol):
    def __init__(self, acceptor: Acceptor, transports: list[asyncio.BaseTransport]) -> None:
        self.acceptor, self.transports = acceptor, transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transports.append(transport)
        self.acceptor.accept_waiting(lambda: RecordingProtocol(self.acceptor, self.transports))


async def count_iterations(count: int, listener: socket.socket, clients: ExitStack) -> int:
    """Return the number of loop iterations until `count` connections are accepted."""
    transports, iterations, acceptor = list[asyncio.BaseTransport](), 0, Acceptor(listener)
    server = await asyncio.get_running_loop().create_server(
        lambda: RecordingProtocol(acceptor, transports), sock=listener
    )
    async with asyncio.timeout(TIMEOUT_SECONDS), server:
        while len(transports) < count:
            iterations += 1
            await asyncio.sleep(0)
        clients.close()
        for transport in transports:
            transport.close()
    return iterations


def test_waiting_connections_are_accepted_in_few_iterations() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=CONNECTION_COUNT) as listener, ExitStack() as clients:
        for _ in range(CONNECTION_COUNT):
            clients.enter_context(socket.create_connection(listener.getsockname(), TIMEOUT_SECONDS))
        assert uvloop.run(count_iterations(CONNECTION_COUNT, listener, clients)) < CONNECTION_COUNT / 4


def test_closed_listener_is_not_accepted_from() -> None:
    errors = list[object]()

    async def close_after_accepting() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            Acceptor(listener).accept_waiting(asyncio.Protocol)
        await asyncio.sleep(0)

    uvloop.run(close_after_accepting())
    assert not errors
