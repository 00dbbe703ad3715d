"""Hundreds who connect at once are accepted in a few turns of uvloop, which alone accepts one in each."""

import asyncio
import socket
import sys
from contextlib import ExitStack

import pytest

from opportune.server.connections.acceptor import MAX_ACCEPTED_PER_TURN, Acceptor

if sys.platform == "win32":
    pytest.skip("There is no uvloop.", allow_module_level=True)
import uvloop

MANY = 4 * MAX_ACCEPTED_PER_TURN
TIMEOUT_SECONDS = 20


class Accepted(asyncio.Protocol):
    def __init__(self, acceptor: Acceptor, transports: list[asyncio.BaseTransport]) -> None:
        self.acceptor, self.transports = acceptor, transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transports.append(transport)
        self.acceptor.accept_others(lambda: Accepted(self.acceptor, self.transports))


async def turns_until(count: int, listener: socket.socket, clients: ExitStack) -> int:
    """Turns of the loop in which so many are accepted."""
    transports, turns, first = list[asyncio.BaseTransport](), 0, Acceptor(listener)
    server = await asyncio.get_running_loop().create_server(lambda: Accepted(first, transports), sock=listener)
    async with asyncio.timeout(TIMEOUT_SECONDS), server:
        while len(transports) < count:
            turns += 1
            await asyncio.sleep(0)
        clients.close()
        for transport in transports:
            transport.close()
    return turns


def test_those_who_connect_at_once_are_accepted_in_a_few_turns_of_the_loop() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=MANY) as listener, ExitStack() as clients:
        for _ in range(MANY):
            clients.enter_context(socket.create_connection(listener.getsockname(), TIMEOUT_SECONDS))
        assert uvloop.run(turns_until(MANY, listener, clients)) < MANY / 4


def test_a_socket_that_is_closed_meanwhile_is_left_alone() -> None:
    faults = list[object]()

    async def close_when_somebody_has_come() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            Acceptor(listener).accept_others(asyncio.Protocol)
        await asyncio.sleep(0)

    uvloop.run(close_when_somebody_has_come())
    assert not faults
