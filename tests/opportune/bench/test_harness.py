"""Measurements of the speed benchmarks: failing servers, processor time, limits."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from socket import create_server

import pytest

from bench.harness.load import Request, WrongResponseError, drive
from bench.harness.servers import Server
from bench.harness.tables import Figure, exceeded_limits

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npong"
ASKED = Request(b"GET /ping HTTP/1.1\r\n\r\n", 200, b"pong")


@contextmanager
def server_that_answers(*answers: bytes) -> Iterator[int]:
    """Port of a server that closes each connection after its response."""

    def serve() -> None:
        for answer in answers:
            client, _ = listener.accept()
            with client:
                client.recv(1000)
                client.sendall(answer)

    with create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        served = thread.submit(serve)
        yield listener.getsockname()[1]
        served.result()


def test_connection_is_kept_alive() -> None:
    with server_that_answers(GOOD) as port:
        assert drive(port, [ASKED], count=1, connections=4) > 0


def test_closed_connection_is_replaced() -> None:
    closing = GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with server_that_answers(closing, closing, closing) as port:
        assert drive(port, [ASKED], count=3, connections=1) > 0


def test_time_of_each_response_is_measured() -> None:
    closing = GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    waits: list[float] = []
    with server_that_answers(closing, closing) as port:
        seconds = drive(port, [ASKED], count=2, connections=1, latencies=waits)
    assert len(waits) == 2
    assert 0 < sum(waits) <= seconds


@pytest.mark.parametrize("answer", [GOOD.replace(b"200 OK", b"500 No"), GOOD.replace(b"pong", b"oops"), b"HTTP/1.1"])
def test_wrong_status_raises(answer: bytes) -> None:
    with server_that_answers(answer) as port, pytest.raises(WrongResponseError):
        drive(port, [ASKED], count=1, connections=1)


def test_processor_time_of_server_is_measured() -> None:
    server = Server(os.getpid(), port=0)
    before = server.cpu_seconds()
    started = time.process_time()
    sum(range(100_000))
    spent = time.process_time() - started
    assert server.cpu_seconds() - before >= spent > 0


def figures(task: str, ours: float, **peers: float) -> dict[str, dict[str, list[Figure]]]:
    return {task: {name: [Figure(value, 1)] for name, value in {"ours": ours, **peers}.items()}}


def test_exceeded_ratio_is_reported() -> None:
    assert list(exceeded_limits("sqlite", figures("ping", 51, plain=100, django=50, bare=1))) == [
        "Too slow: JSON ping on sqlite is 0.51 x plain (at most 0.5)."
    ]
    assert not list(exceeded_limits("sqlite", figures("ping", 50, plain=100, django=39)))


def test_page_slower_than_django_is_reported() -> None:
    assert not list(exceeded_limits("sqlite", figures("page", 100, django=100)))
    assert list(exceeded_limits("sqlite", figures("page", 101, django=100)))
