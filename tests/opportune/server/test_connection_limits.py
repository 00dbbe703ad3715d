"""Limits of connections, tested with raw sockets."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from queue import Queue

import pytest
from starlette.types import Receive, Scope, Send

from opportune.config.settings import clear_settings_cache
from opportune.project.modules import settings_class
from opportune.server import connection_limits
from tests.opportune.server.uvicorn_server import TIMEOUT_SECONDS, run_uvicorn

HEAD = b"GET / HTTP/1.1\r\nHost: site.example\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: site.example\r\nTransfer-Encoding: chunked\r\n\r\n"
LONG_HEADER = b"name: " + b"x" * 8000 + b"\r\n"


async def report_request(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond with the size of the body and the names of the headers."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = json.dumps([size, *(name.decode() for name, _ in scope["headers"])]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with run_uvicorn(report_request) as address:
        yield address


@pytest.fixture(autouse=True)
def _short_close_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "CLOSE_TIMEOUT_SECONDS", 0.05)


class Client:
    """Sends raw bytes and parses responses."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=TIMEOUT_SECONDS)
        self.responses = self.socket.makefile("rb")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.responses.close()
        self.socket.close()

    def send(self, *packets: bytes) -> "Client":
        for packet in packets:
            try:
                self.socket.sendall(packet)
            except ConnectionError:  # the server refused it, and its response says why
                break
        return self

    def status(self) -> int:
        """Return the status of the next response; 0 if the connection was closed."""
        try:
            line = self.responses.readline()
        except ConnectionError:
            return 0
        self.headers = {}
        while (header := self.responses.readline().decode().strip()) if line else "":
            name, _, value = header.partition(": ")
            self.headers[name] = value
        self.body = self.responses.read(int(self.headers.get("content-length", 0)))
        return int(line.split()[1]) if line else 0


@pytest.mark.parametrize(
    "packets",
    [
        pytest.param([HEAD, b"name: " + b"x" * 66_000 + b"\r\n\r\n"], id="one large header"),
        pytest.param([HEAD, *[LONG_HEADER] * 500], id="endless headers"),
        pytest.param([b"GET /", *[b"x" * 65_536] * 60], id="endless URL"),
        pytest.param([CHUNKED, b"0\r\n", *[LONG_HEADER] * 500], id="endless trailers"),
        pytest.param([CHUNKED + b"0\r\n" + LONG_HEADER * 9 + b"\r\n"], id="large trailers"),
        pytest.param([CHUNKED, *[b"1;name=" + b"x" * 8000 + b"\r\nx\r\n"] * 500], id="chunk extensions"),
    ],
)
def test_large_headers_and_overhead_are_refused(address: tuple[str, int], packets: list[bytes]) -> None:
    with Client(address) as client:
        assert client.send(*packets).status() == 431
        assert client.status() == 0


def test_large_trailers_in_two_packets_are_refused(address: tuple[str, int]) -> None:
    with Client(address) as client:
        start = HEAD.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n0\r\n"
        assert client.send(start + LONG_HEADER * 7).status() == 100  # in one packet with the headers
        assert client.send(LONG_HEADER * 2 + b"\r\n").status() == 431
        assert client.status() == 0


@pytest.mark.parametrize(
    ("packets", "size"),
    [
        pytest.param([HEAD, b"name: " + b"x" * 60_000 + b"\r\n\r\n"], 0, id="headers"),
        pytest.param([HEAD + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1_000_000], 1_000_000, id="body"),
        pytest.param([CHUNKED, b"1\r\nx\r\n" * 20_000, b"0\r\n\r\n"], 20_000, id="small chunks"),
    ],
)
def test_long_headers_and_bodies_are_accepted(address: tuple[str, int], packets: list[bytes], size: int) -> None:
    with Client(address) as client:
        assert client.send(*packets).status() == 200
        assert json.loads(client.body)[0] == size
        assert client.send(HEAD + b"\r\n").status() == 200


def test_trailer_does_not_become_a_header(address: tuple[str, int]) -> None:
    with Client(address) as client:
        assert client.send(CHUNKED + b"1\r\nx\r\n0\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n").status() == 200
        assert json.loads(client.body) == [1, "host", "transfer-encoding"]


def test_two_host_headers_are_refused(address: tuple[str, int]) -> None:
    with Client(address) as client:
        assert client.send(HEAD + b"Host: other.example\r\n\r\n").status() == 400


@pytest.fixture
def short_header_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "HEADER_TIMEOUT_SECONDS", 0.2)


@pytest.mark.usefixtures("short_header_timeout")
@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        pytest.param(b"", [0], id="nothing"),
        pytest.param(HEAD, [408, 0], id="partial request"),
        pytest.param(HEAD + b"\r\n" + HEAD, [200, 408, 0], id="partial second request"),
    ],
)
def test_slow_headers_time_out(address: tuple[str, int], data: bytes, statuses: list[int]) -> None:
    with Client(address).send(data) as client:
        assert [client.status() for _ in statuses] == statuses


@pytest.mark.usefixtures("short_header_timeout")
def test_empty_lines_do_not_prevent_the_timeout(address: tuple[str, int]) -> None:
    with Client(address) as client:
        assert client.send(HEAD + b"\r\n").status() == 200
        assert client.send(b"\r\n").status() == 0


@pytest.mark.usefixtures("short_header_timeout")
def test_slow_body_does_not_time_out(address: tuple[str, int]) -> None:
    with Client(address) as client, Client(address) as idle:
        client.send(HEAD + b"Content-Length: 2\r\n\r\nx")
        assert idle.status() == 0  # the header timeout has passed
        assert client.send(b"x").status() == 200


def test_pipelined_requests_are_limited(address: tuple[str, int]) -> None:
    count = connection_limits.MAX_PIPELINED_REQUESTS * 4
    with Client(address) as client:
        client.send((HEAD + b"\r\n") * count)
        assert 0 in [client.status() for _ in range(count)]


def test_stream_before_pipelined_request_ends_with_its_client() -> None:
    ends = Queue[str]()

    async def stream(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # the empty body
        await send({"type": "http.response.start", "status": 200, "headers": []})
        end = asyncio.ensure_future(receive())
        while not end.done():
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.sleep(0)
        ends.put(end.result()["type"])

    with run_uvicorn(stream) as address:
        with Client(address).send((HEAD + b"\r\n") * 2) as client:
            assert client.status() == 200
        assert ends.get(timeout=TIMEOUT_SECONDS) == "http.disconnect"


@pytest.fixture
def one_connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(settings_class().model_config, "env_file", None)
    monkeypatch.setenv("MAX_HTTP_CONNECTIONS", "1")
    clear_settings_cache()
    yield
    clear_settings_cache()


@pytest.mark.usefixtures("one_connection")
def test_connection_over_the_limit_serves_only_health_checks(address: tuple[str, int]) -> None:
    with Client(address).send(HEAD + b"\r\n") as first:
        assert first.status() == 200
        with Client(address) as client:
            assert client.send(HEAD + b"\r\n").status() == 503
            assert client.headers["retry-after"] == "2"
            assert client.status() == 0
        with Client(address) as health_check:
            assert health_check.send(HEAD.replace(b"/ ", b"/health/live ") + b"\r\n").status() == 200
            assert health_check.status() == 0
        assert first.send(HEAD + b"\r\n").status() == 200


@pytest.mark.usefixtures("one_connection")
def test_idle_connections_do_not_block_health_checks(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "RESERVED_CONNECTIONS", 2)
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(address)) for _ in range(9)]
        with Client(address) as health_check:
            assert health_check.send(HEAD.replace(b"/ ", b"/health ") + b"\r\n").status() == 200
        assert [client.status() for client in clients[1:7]] == [0] * 6  # the first one is within the limit
