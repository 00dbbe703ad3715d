"""Load generator: one thread, keep-alive sockets and prepared requests."""

import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle, islice
from selectors import EVENT_READ, DefaultSelector
from time import perf_counter

ANSWER_TIMEOUT_SECONDS = 60
"""Seconds without a response before an error."""
HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    """Request with the expected response."""

    sent: bytes
    status: int
    marker: bytes


class WrongAnswerError(Exception):
    """Unexpected response. A server must not win by failing quickly."""


def drive(
    port: int, requests: Sequence[Request], count: int, connections: int, waits: list[float] | None = None
) -> float:
    """Send `count` requests in turn. Each connection sends the next one after its response. Returns seconds.

    The latency of each response in seconds is appended to `waits`.

    Raises:
        WrongAnswerError: A response is unexpected or missing.
    """
    waiting = islice(cycle(requests), count)
    with DefaultSelector() as selector, ExitStack() as stack:
        clients = [_Client(port, waiting, selector) for _ in range(connections)]
        for client in clients:
            stack.callback(client.hang_up)
        started = perf_counter()
        under_way = sum(client.ask() for client in clients)
        while under_way:
            ready = selector.select(ANSWER_TIMEOUT_SECONDS)
            if not ready:
                raise WrongAnswerError(f"no answer in {ANSWER_TIMEOUT_SECONDS} s")
            for key, _ in ready:
                if not key.data.has_answer():
                    continue
                if waits is not None:
                    waits.append(perf_counter() - key.data.asked_at)
                if not key.data.ask():
                    under_way -= 1
        return perf_counter() - started


class _Client:
    """Connection with at most one pending request."""

    def __init__(self, port: int, waiting: Iterator[Request], selector: DefaultSelector) -> None:
        self.port = port
        self.waiting = waiting
        self.selector = selector
        self.socket: socket.socket | None = None

    def ask(self) -> bool:
        """Send the next request. Returns false if there is none."""
        request = next(self.waiting, None)
        if request is None:
            self.hang_up()
            return False
        self.socket = self.socket or self._connect()
        self.request, self.received = request, b""
        self.asked_at = perf_counter()
        self.socket.sendall(request.sent)
        return True

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(connection, EVENT_READ, self)
        return connection

    def hang_up(self) -> None:
        if self.socket:
            self.selector.unregister(self.socket)
            self.socket.close()
            self.socket = None

    def has_answer(self) -> bool:
        """Read available data. Returns whether the response is complete."""
        assert self.socket
        piece = self.socket.recv(262_144)
        self.received += piece
        head, end, body = self.received.partition(HEAD_END)
        length = LENGTH.search(head)
        if not piece or (end and not length):
            raise WrongAnswerError(f"cut, or without its length: {self.received[:500]!r}")
        if not length or not end or len(body) < int(length[1]):
            return False
        if int(head[9:12]) != self.request.status or self.request.marker not in body:
            raise WrongAnswerError(f"{self.request.sent[:60]!r} was answered {self.received[:500]!r}")
        if CLOSES.search(head):
            self.hang_up()
        return True
