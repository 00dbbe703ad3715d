"""Load generator: one thread, keep-alive sockets and prepared requests."""

import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle, islice
from selectors import EVENT_READ, DefaultSelector
from time import perf_counter

RESPONSE_TIMEOUT_SECONDS = 60
"""Seconds without a response before an error."""
HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
LAST_CHUNK = b"\r\n0\r\n\r\n"
CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    """Request with the expected response."""

    raw: bytes
    """The whole request, as sent."""
    status: int
    marker: bytes
    """Text that the body of the response contains."""


class WrongResponseError(Exception):
    """Unexpected response. A server must not win by failing quickly."""


def drive(
    port: int, requests: Sequence[Request], count: int, connections: int, latencies: list[float] | None = None
) -> float:
    """Send `count` requests in turn and return the duration in seconds.

    Each connection sends its next request after the response. The latency of each response in seconds is appended to
    `latencies`.

    Raises:
        WrongResponseError: A response is unexpected or missing.
    """
    queue = islice(cycle(requests), count)
    with DefaultSelector() as selector, ExitStack() as stack:
        clients = [_Client(port, queue, selector) for _ in range(connections)]
        for client in clients:
            stack.callback(client.close)
        started = perf_counter()
        pending = sum(client.send_next() for client in clients)
        while pending:
            ready = selector.select(RESPONSE_TIMEOUT_SECONDS)
            if not ready:
                raise WrongResponseError(f"no response in {RESPONSE_TIMEOUT_SECONDS} s")
            for key, _ in ready:
                if not key.data.read_response():
                    continue
                if latencies is not None:
                    latencies.append(perf_counter() - key.data.sent_at)
                if not key.data.send_next():
                    pending -= 1
        return perf_counter() - started


class _Client:
    """Connection with at most one pending request."""

    def __init__(self, port: int, queue: Iterator[Request], selector: DefaultSelector) -> None:
        self.port = port
        self.queue = queue
        self.selector = selector
        self.socket: socket.socket | None = None

    def send_next(self) -> bool:
        """Send the next request. Return whether there was one."""
        request = next(self.queue, None)
        if request is None:
            self.close()
            return False
        self.socket = self.socket or self._connect()
        self.request = request
        self.received = b""
        self.sent_at = perf_counter()
        self.socket.sendall(request.raw)
        return True

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(connection, EVENT_READ, self)
        return connection

    def close(self) -> None:
        if self.socket:
            self.selector.unregister(self.socket)
            self.socket.close()
            self.socket = None

    def read_response(self) -> bool:
        """Read available data. Return whether the response is complete."""
        assert self.socket
        chunk = self.socket.recv(262_144)
        self.received += chunk
        head, end, body = self.received.partition(HEAD_END)
        length, is_stream = LENGTH.search(head), CHUNKED.search(head)
        if not chunk or (end and not length and not is_stream):
            raise WrongResponseError(f"incomplete response, or without Content-Length: {self.received[:500]!r}")
        is_complete = body.endswith(LAST_CHUNK) if is_stream else length and len(body) >= int(length[1])
        if not end or not is_complete:
            return False
        if int(head[9:12]) != self.request.status or self.request.marker not in body:
            raise WrongResponseError(f"{self.request.raw[:60]!r} returned {self.received[:500]!r}")
        if CLOSES.search(head):
            self.close()
        return True
