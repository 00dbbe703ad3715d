"""Both of uvicorn's parsers, asked over sockets by clients that no library would be."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from queue import Queue

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from opportune.config.project import settings_class
from opportune.config.settings import forget_settings
from opportune.server.connections import limits, with_httptools

TIMEOUT_SECONDS = 30
HEAD = b"GET / HTTP/1.1\r\nHost: site.example\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: site.example\r\nTransfer-Encoding: chunked\r\n\r\n"
MANY = b"name: " + b"x" * 8000 + b"\r\n"


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the names of the headers that it had in the end, and how much body."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = json.dumps([size, *(name.decode() for name, _ in scope["headers"])]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class Serving(uvicorn.Server):
    def __init__(self, parser: str) -> None:
        protocol = import_module(f"opportune.server.connections.with_{parser}").Protocol
        super().__init__(uvicorn.Config(tell, http=protocol, lifespan="off", port=0, log_config=None, access_log=False))
        self.address: Queue[tuple[str, int]] = Queue()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.address.put(self.servers[0].sockets[0].getsockname())


@contextmanager
def serving(parser: str) -> Iterator[tuple[str, int]]:
    server = Serving(parser)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.address.get(timeout=TIMEOUT_SECONDS)
    finally:
        server.should_exit = True
        thread.join(TIMEOUT_SECONDS)


@pytest.fixture(scope="module", params=["httptools", "h11"])
def parser(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def address(parser: str) -> Iterator[tuple[str, int]]:
    with serving(parser) as address:
        yield address


@pytest.fixture(autouse=True)
def _closed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLOSE_TIMEOUT_SECONDS", 0.05)


class Client:
    """Sends what it likes, and knows no more of HTTP than where an answer ends."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=TIMEOUT_SECONDS)
        self.answers = self.socket.makefile("rb")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.answers.close()
        self.socket.close()

    def send(self, *pieces: bytes) -> "Client":
        for piece in pieces:
            try:
                self.socket.sendall(piece)
            except ConnectionError:  # it was refused, and says why
                break
        return self

    def status(self) -> int:
        """Of the next answer; 0 if the connection was closed instead."""
        try:
            line = self.answers.readline()
        except ConnectionError:
            return 0
        self.headers = {}
        while (header := self.answers.readline().decode().strip()) if line else "":
            name, _, value = header.partition(": ")
            self.headers[name] = value
        self.body = self.answers.read(int(self.headers.get("content-length", 0)))
        return int(line.split()[1]) if line else 0


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([HEAD, b"name: " + b"x" * 66_000 + b"\r\n\r\n"], id="all at once"),
        pytest.param([HEAD, *[MANY] * 500], id="many headers without end"),
        pytest.param([HEAD, b"name: ", *[b"x" * 65_536] * 60], id="a header without end"),
        pytest.param([b"GET /", *[b"x" * 65_536] * 60], id="an address without end"),
        pytest.param([CHUNKED, b"0\r\n", *[MANY] * 500], id="trailers without end"),
        pytest.param([CHUNKED + b"0\r\n" + MANY * 9 + b"\r\n"], id="trailers at once"),
        pytest.param([CHUNKED, b"1;name=", *[b"x" * 65_536] * 60], id="an extension of a chunk without end"),
        pytest.param([CHUNKED, *[b"1;name=" + b"x" * 8000 + b"\r\nx\r\n"] * 500], id="extensions of chunks"),
    ],
)
def test_more_than_anybody_has_to_say_before_a_body_or_around_it_is_refused(
    address: tuple[str, int], pieces: list[bytes]
) -> None:
    with Client(address) as client:
        assert client.send(*pieces).status() == 431
        assert client.status() == 0


def test_too_many_trailers_are_refused_however_they_are_divided_into_what_the_server_reads(
    address: tuple[str, int],
) -> None:
    with Client(address) as client:
        begun = HEAD.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n0\r\n"
        assert client.send(begun + MANY * 7).status() == 100  # those of the same read are behind the headers
        assert client.send(MANY * 2 + b"\r\n").status() == 431
        assert client.status() == 0


@pytest.mark.parametrize(
    ("pieces", "size"),
    [
        pytest.param([HEAD, b"name: " + b"x" * 60_000 + b"\r\n\r\n"], 0, id="headers"),
        pytest.param([HEAD + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1_000_000], 1_000_000, id="body"),
        pytest.param([CHUNKED, b"1\r\nx\r\n" * 20_000, b"0\r\n\r\n"], 20_000, id="small chunks"),
    ],
)
def test_long_headers_and_bodies_of_any_kind_are_taken(
    address: tuple[str, int], pieces: list[bytes], size: int
) -> None:
    with Client(address) as client:
        assert client.send(*pieces).status() == 200
        assert json.loads(client.body)[0] == size
        assert client.send(HEAD + b"\r\n").status() == 200


def test_what_follows_a_body_is_no_header_of_the_request(address: tuple[str, int]) -> None:
    with Client(address) as client:
        assert client.send(CHUNKED + b"1\r\nx\r\n0\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n").status() == 200
        assert json.loads(client.body) == [1, "host", "transfer-encoding"]


def test_two_hosts_are_refused(address: tuple[str, int]) -> None:
    with Client(address) as client:
        assert client.send(HEAD + b"Host: other.example\r\n\r\n").status() == 400


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEADER_TIMEOUT_SECONDS", 0.2)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("sent", "answers"),
    [
        pytest.param(b"", [0], id="nothing"),
        pytest.param(HEAD, [408, 0], id="half of it"),
        pytest.param(HEAD + b"\r\n" + HEAD, [200, 408, 0], id="half of the next"),
    ],
)
def test_headers_that_take_too_long_are_waited_for_no_more(
    address: tuple[str, int], sent: bytes, answers: list[int]
) -> None:
    with Client(address).send(sent) as client:
        assert [client.status() for _ in answers] == answers


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("parser", ["httptools"], indirect=True)  # h11 refuses them
def test_empty_lines_do_not_keep_a_connection(address: tuple[str, int]) -> None:
    with Client(address) as client:
        assert client.send(HEAD + b"\r\n").status() == 200
        assert client.send(b"\r\n").status() == 0


@pytest.mark.usefixtures("hurried")
def test_a_body_may_take_longer_than_headers(address: tuple[str, int]) -> None:
    with Client(address) as client, Client(address) as silent:
        client.send(HEAD + b"Content-Length: 2\r\n\r\nx")
        assert silent.status() == 0  # so much time has gone by
        assert client.send(b"x").status() == 200


@pytest.mark.parametrize("parser", ["httptools"], indirect=True)  # h11 looks at one after the other
def test_many_requests_at_once_do_not_queue_without_end(address: tuple[str, int]) -> None:
    count = with_httptools.MAX_PIPELINED_REQUESTS * 4
    with Client(address) as client:
        client.send((HEAD + b"\r\n") * count)
        assert 0 in [client.status() for _ in range(count)]


@pytest.fixture
def one_connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(settings_class().model_config, "env_file", None)
    monkeypatch.setenv("MAX_HTTP_CONNECTIONS", "1")
    forget_settings()
    yield
    forget_settings()


@pytest.mark.usefixtures("one_connection")
def test_a_connection_too_many_is_told_to_come_back_and_a_health_check_is_answered(address: tuple[str, int]) -> None:
    with Client(address).send(HEAD + b"\r\n") as first:
        assert first.status() == 200
        with Client(address) as client:
            assert client.send(HEAD + b"\r\n").status() == 503
            assert client.headers["retry-after"] == "2"
            assert client.status() == 0
        with Client(address) as host:
            assert host.send(HEAD.replace(b"/ ", b"/health/live ") + b"\r\n").status() == 200
            assert host.status() == 0
        assert first.send(HEAD + b"\r\n").status() == 200


@pytest.mark.usefixtures("one_connection")
def test_connections_that_are_silent_take_no_room_of_a_health_check(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RESERVED_CONNECTIONS", 2)
    with ExitStack() as stack:
        flood = [stack.enter_context(Client(address)) for _ in range(9)]
        with Client(address) as host:
            assert host.send(HEAD.replace(b"/ ", b"/health ") + b"\r\n").status() == 200
        assert [silent.status() for silent in flood[1:7]] == [0] * 6  # the first is the one that may be there
