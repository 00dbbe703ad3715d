"""Measurements of the speed benchmarks: failing servers, processor time, limits."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from socket import create_server

import pytest

from bench.harness import tables
from bench.harness.load import Request, WrongResponseError, drive
from bench.harness.options import BenchmarkParser, comma_separated_numbers
from bench.harness.servers import Server
from bench.harness.tables import Figure, exceeded_limits

PONG_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npong"
PING = Request(b"GET /ping HTTP/1.1\r\n\r\n", 200, b"pong")


@contextmanager
def run_server(*responses: bytes) -> Iterator[int]:
    """Port of a server that closes each connection after its response."""

    def serve() -> None:
        for response in responses:
            client, _ = listener.accept()
            with client:
                client.recv(1000)
                client.sendall(response)

    with create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        serving = thread.submit(serve)
        yield listener.getsockname()[1]
        serving.result()


@pytest.mark.parametrize(
    "response", [PONG_RESPONSE.replace(b"200 OK", b"500 No"), PONG_RESPONSE.replace(b"pong", b"oops"), b"HTTP/1.1"]
)
def test_wrong_status_raises(response: bytes) -> None:
    with run_server(response) as port, pytest.raises(WrongResponseError):
        drive(port, [PING], count=1, connections=1)


@pytest.mark.parametrize("option", ["--rounds=0", "--rounds=-1", "--requests=0", "--rows=10,0"])
def test_option_of_zero_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    parser = BenchmarkParser(None, 3)
    parser.add_size("requests", 10, 1)
    parser.add_size("rows", [10, 20], [1, 2], type=comma_separated_numbers)
    monkeypatch.setattr("sys.argv", ["bench", option])
    with pytest.raises(SystemExit):
        parser.read()
    assert f"{option.partition('=')[0]} must be greater than 0" in capsys.readouterr().err


def test_processor_time_of_server_is_measured() -> None:
    server = Server(os.getpid(), port=0)
    before = server.cpu_seconds()
    started = time.process_time()
    sum(range(100_000))
    busy_seconds = time.process_time() - started
    assert server.cpu_seconds() - before >= busy_seconds > 0


def figures(task: str, ours: float, **peers: float) -> dict[str, dict[str, list[Figure]]]:
    return {task: {name: [Figure(value, 1)] for name, value in {"ours": ours, **peers}.items()}}


def test_ratio_up_to_the_goal_is_not_reported() -> None:
    goal = tables.GOALS["plain"]["ping"] * 100
    assert not list(exceeded_limits("sqlite", figures("ping", goal, plain=100, bare=1)))


@pytest.mark.parametrize(("ours", "is_reported"), [(125, False), (127, True)])
def test_ratio_may_be_a_quarter_above_measured(monkeypatch: pytest.MonkeyPatch, ours: float, is_reported: bool) -> None:
    monkeypatch.setitem(tables.MEASURED["django", "sqlite"], "page", 1.0)
    reported = list(exceeded_limits("sqlite", figures("page", ours, django=100)))
    line = "Too slow: HTML list of 20 rows on sqlite is 1.27 x django (at most 1.25)."
    assert reported == [line] * is_reported
