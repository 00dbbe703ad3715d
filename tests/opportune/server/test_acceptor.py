"""Acceptance of many connections in a few iterations of uvloop, which itself accepts one per iteration."""

import asyncio
import errno
import socket
import sys
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any

import pytest

from opportune.server import acceptor
from opportune.server.acceptor import MAX_ACCEPTED_PER_TURN, Loop

if sys.platform == "win32":
    pytest.skip("There is no uvloop.", allow_module_level=True)


CONNECTION_COUNT = 4 * MAX_ACCEPTED_PER_TURN
TIMEOUT_SECONDS = 30


class RecordingProtocol(asyncio.Protocol):
    def __init__(self, transports: list[asyncio.BaseTransport]) -> None:
        self.transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transports.append(transport)


async def count_iterations(count: int, listener: socket.socket, clients: ExitStack) -> int:
    """Return the number of loop iterations until `count` connections are accepted."""
    transports, iterations = list[asyncio.BaseTransport](), 0
    server = await asyncio.get_running_loop().create_server(lambda: RecordingProtocol(transports), sock=listener)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while len(transports) < count:
            iterations += 1
            await asyncio.sleep(0)
        server.close()
        clients.close()
        for transport in transports:
            transport.close()
    return iterations


def run(main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(main)


def test_waiting_connections_are_accepted_in_few_iterations() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=CONNECTION_COUNT) as listener, ExitStack() as clients:
        for _ in range(CONNECTION_COUNT):
            clients.enter_context(socket.create_connection(listener.getsockname(), TIMEOUT_SECONDS))
        assert run(count_iterations(CONNECTION_COUNT, listener, clients)) < CONNECTION_COUNT / 4


def test_closed_server_accepts_no_connections() -> None:
    transports = list[asyncio.BaseTransport]()

    async def connect_after_close(listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: RecordingProtocol(transports), sock=listener)
        server.close()
        with socket.create_connection(listener.getsockname(), TIMEOUT_SECONDS):
            for _ in range(10):
                await asyncio.sleep(0)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        run(connect_after_close(listener))
    assert not transports


def test_connection_waits_while_files_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "ERROR_PAUSE_SECONDS", 0)
    errors = list[BaseException]()

    class FullListener(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            if not errors:
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    async def accept_later(listener: socket.socket, clients: ExitStack) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context["exception"]))
        clients.enter_context(socket.create_connection(listener.getsockname(), TIMEOUT_SECONDS))
        await count_iterations(1, listener, clients)

    with FullListener() as listener, ExitStack() as clients:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        run(accept_later(listener, clients))
    assert [type(error) for error in errors] == [OSError]
