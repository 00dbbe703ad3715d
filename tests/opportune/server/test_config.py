"""Client addresses behind trusted proxies, and WebSockets with limits."""

import asyncio
from collections.abc import Iterator

import pytest
from starlette.types import Receive, Scope, Send
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from opportune.cli.development.server_config import server_options
from opportune.config.settings import clear_settings_cache
from opportune.server import connection_limits
from opportune.server.config import MAX_WEBSOCKET_MESSAGE_BYTES, ServerConfig
from opportune.server.connection_limits import Protocol
from opportune.testing.plugin import settings_for
from tests.opportune.server.uvicorn_server import TIMEOUT_SECONDS, run_uvicorn

FORWARDED_FOR = "203.0.113.9, 198.51.100.7, 10.0.0.2"
"""An address that the visitor forged, the visitor's address, and the address of the outer proxy."""


@pytest.mark.parametrize(
    ("trusted", "header", "expected"),
    [
        ("", FORWARDED_FOR, "127.0.0.1"),
        ("192.0.2.1", FORWARDED_FOR, "127.0.0.1"),
        ("127.0.0.1", FORWARDED_FOR, "10.0.0.2"),
        ("127.0.0.1,10.0.0.0/8", FORWARDED_FOR, "198.51.100.7"),
        ("*", FORWARDED_FOR, "10.0.0.2"),
        ("*, 10.0.0.0/8", FORWARDED_FOR, "198.51.100.7"),
        ("*", "203.0.113.9:4711", "203.0.113.9"),
        ("*", "203.0.113.9, [2001:db8::7]:4711", "2001:db8::7"),
        ("*", "203.0.113.9,", "127.0.0.1"),
    ],
)
async def test_last_entry_before_trusted_proxies_is_the_client(trusted: str, header: str, expected: str) -> None:
    addresses = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        addresses.append(scope["client"][0])

    config = ServerConfig(app, proxy_headers=bool(trusted), forwarded_allow_ips=trusted, log_config=None)
    config.load()
    site = config.loaded_app
    # Proxies send one header, or one per address.
    for headers in ([header], header.split(", ")):
        raw = [(b"x-forwarded-for", value.encode()) for value in headers]
        await site({"type": "http", "client": ("127.0.0.1", 1), "scheme": "http", "headers": raw}, None, None)
    assert addresses == [expected] * 2


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Send each text back, and respond to requests with 204."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(connection_limits, "CLOSE_TIMEOUT_SECONDS", 0.05)
    options = server_options(settings_for("sqlite://"))
    options = {name: value for name, value in options.items() if name.startswith("ws")}
    with run_uvicorn(echo, loop="asyncio", **options) as (host, port):
        yield f"ws://{host}:{port}/"


def open_socket(address: str) -> ClientConnection:
    return connect(address, open_timeout=TIMEOUT_SECONDS, close_timeout=TIMEOUT_SECONDS, max_size=None)


def test_websocket_sends_and_receives_text(address: str) -> None:
    with open_socket(address) as client:
        for text in ("hello", "x" * MAX_WEBSOCKET_MESSAGE_BYTES):
            client.send(text)
            assert client.recv(TIMEOUT_SECONDS) == text
        assert not client.protocol.extensions, "messages must not be compressed"


def test_message_over_the_limit_closes_the_socket(address: str) -> None:
    with open_socket(address) as client:
        client.send("x" * (MAX_WEBSOCKET_MESSAGE_BYTES + 1))
        with pytest.raises(ConnectionClosedError) as closed:
            client.recv(TIMEOUT_SECONDS)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_header_timeout_ends_with_the_upgrade(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[asyncio.TimerHandle | None] = []
    wait = Protocol._wait_for_headers

    def record(self: Protocol) -> None:
        wait(self)
        timers.append(self.timer)

    monkeypatch.setattr(Protocol, "_wait_for_headers", record)
    with open_socket(address) as client:
        client.send("hello")
        client.recv(TIMEOUT_SECONDS)
        assert [timer.cancelled() for timer in timers if timer] == [True] * len(timers)
        assert timers


def test_connection_over_the_limit_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_HTTP_CONNECTIONS", "1")
    clear_settings_cache()
    try:
        with open_socket(address), pytest.raises(InvalidStatus) as refused, open_socket(address):
            pass
    finally:
        monkeypatch.undo()
        clear_settings_cache()
    assert refused.value.response.status_code == 503
