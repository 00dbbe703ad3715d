"""WebSockets over sockets, by both of uvicorn's parsers with our limits."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from queue import Queue

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from opportune.cli.development.server import _options
from opportune.config.settings import Settings, forget_settings
from opportune.server.connections import limits
from opportune.server.connections.limits import ConnectionLimits
from opportune.server.websockets import MAX_WEBSOCKET_MESSAGE_BYTES
from opportune.testing.plugin import settings_for

TIMEOUT_SECONDS = 30


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends each text back, and answers requests with nothing."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


class Serving(uvicorn.Server):
    def __init__(self, parser: str, settings: Settings) -> None:
        protocol = import_module(f"opportune.server.connections.with_{parser}").Protocol
        options = {name: value for name, value in _options(settings).items() if name.startswith("ws")}
        config = uvicorn.Config(
            echo, http=protocol, lifespan="off", port=0, log_config=None, access_log=False, loop="asyncio", **options
        )
        super().__init__(config)
        self.address: Queue[tuple[str, int]] = Queue()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.address.put(self.servers[0].sockets[0].getsockname())


@contextmanager
def serving(parser: str) -> Iterator[str]:
    server = Serving(parser, settings_for("sqlite://"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        host, port = server.address.get(timeout=TIMEOUT_SECONDS)
        yield f"ws://{host}:{port}/"
    finally:
        server.should_exit = True
        thread.join(TIMEOUT_SECONDS)


@pytest.fixture(params=["httptools", "h11"])
def address(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(limits, "CLOSE_TIMEOUT_SECONDS", 0.05)
    with serving(request.param) as address:
        yield address


def opened(address: str) -> ClientConnection:
    return connect(address, open_timeout=TIMEOUT_SECONDS, close_timeout=TIMEOUT_SECONDS, max_size=None)


def test_texts_go_both_ways(address: str) -> None:
    with opened(address) as client:
        for text in ("hello", "x" * MAX_WEBSOCKET_MESSAGE_BYTES):
            client.send(text)
            assert client.recv(TIMEOUT_SECONDS) == text
        assert not client.protocol.extensions, "nothing is compressed"


def test_message_over_the_limit_closes_the_socket(address: str) -> None:
    with opened(address) as client:
        client.send("x" * (MAX_WEBSOCKET_MESSAGE_BYTES + 1))
        with pytest.raises(ConnectionClosedError) as closed:
            client.recv(TIMEOUT_SECONDS)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_header_timeout_ends_with_the_upgrade(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[asyncio.TimerHandle | None] = []
    wait = ConnectionLimits._wait_for_headers

    def record(self: ConnectionLimits) -> None:
        wait(self)
        timers.append(self.timer)

    monkeypatch.setattr(ConnectionLimits, "_wait_for_headers", record)
    with opened(address) as client:
        client.send("hello")
        client.recv(TIMEOUT_SECONDS)
        assert [timer.cancelled() for timer in timers if timer] == [True] * len(timers)
        assert timers


def test_connection_over_the_limit_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_HTTP_CONNECTIONS", "1")
    forget_settings()
    try:
        with opened(address), pytest.raises(InvalidStatus) as refused, opened(address):
            pass
    finally:
        monkeypatch.undo()
        forget_settings()
    assert refused.value.response.status_code == 503
