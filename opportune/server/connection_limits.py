"""uvicorn's protocol with limits for the number of connections, for the size of headers, and for the time to send them.

uvicorn has no such limits. Import this module in servers only, because it imports uvicorn.
"""

import asyncio
import logging
from collections.abc import Iterable
from http import HTTPStatus
from math import inf
from typing import Any, ClassVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from opportune.config.settings import get_settings
from opportune.server.workers import OpenConnections
from opportune.web.machine_paths import MACHINE_PATHS
from opportune.web.middleware.security_headers import security_headers
from opportune.web.routing.root_path import path_below_root

logger = logging.getLogger("opportune.server")

MAX_HEADER_BYTES = 65_536
"""Maximum size of request line and headers, and of the overhead around a body."""
MAX_CHUNK_OVERHEAD_BYTES = 64
"""Overhead of each chunk of a body that is not counted."""
HEADER_TIMEOUT_SECONDS = 20
"""Maximum time until the headers are complete, from the connection or from the first byte of a later request."""
RESERVED_CONNECTIONS = 100
"""Connections beyond MAX_HTTP_CONNECTIONS, for health checks and responses with 503. Idle ones are closed first."""
CLOSE_TIMEOUT_SECONDS = 1
"""Time for the client to read the response. Closing with unread data would discard the response."""
DRAIN_SECONDS = 1
"""Time that idle connections stay open at shutdown, because a request may be on its way."""
WARNING_INTERVAL_SECONDS = 60
MAX_PIPELINED_REQUESTS = 16
"""Maximum requests that wait on one connection for the response to an earlier one."""
CLOSE_HEADER = (b"connection", b"close")

BUSY = b"Too many connections are open. Try again in a moment."
BUSY_HEADERS = [
    *security_headers(),
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", str(len(BUSY)).encode()),
    (b"cache-control", b"no-store"),
    (b"retry-after", b"2"),
    CLOSE_HEADER,
]


class Protocol(HttpToolsProtocol):
    """uvicorn's httptools protocol with limits.

    It counts the bytes that the parser has not turned into events yet, because the parser does not limit them. For each
    request the parser calls `on_headers_complete`, `on_body` for each part of the body, and `on_message_complete` after
    the trailers, which it has added to the headers.
    """

    # With more than 30 attributes, uvicorn's 28 included, each connection would need a dict of 1.2 kB.
    __slots__ = ("_header_count", "_max_unparsed", "_running", "_unparsed", "timer")

    reserve: ClassVar[dict["Protocol", None]] = {}
    """Connections of this process beyond MAX_HTTP_CONNECTIONS, the oldest first."""
    warned_at: ClassVar[float] = -inf
    refusal = HTTPStatus.BAD_REQUEST
    """Status of the response if the parser reports an error."""
    is_refused = False
    """Whether this connection got an error response and will be closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.timer: asyncio.TimerHandle | None = None
        self._unparsed = 0
        self._max_unparsed = 0
        """Upper limit of the unparsed bytes. Only if it exceeds the maximum are they measured exactly."""
        self._header_count = 0
        self._running: RequestResponseCycle | None = None
        """The request that is responded to. `cycle` is the newest of pipelined requests."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        OpenConnections.of_server = self.connections
        if len(self.connections) > get_settings().max_http_connections:
            self._add_to_reserve()
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        if self.is_refused:
            return
        self._max_unparsed = self._unparsed = self._unparsed + len(data)
        super().data_received(data)
        if self._max_unparsed > MAX_HEADER_BYTES:
            self._refuse_excess()
        is_websocket = self.transport.get_protocol() is not self
        if self.timer is None and not self._is_responding() and not is_websocket:
            self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self.reserve.pop(self, None)
        self._disconnect_running()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, *event: Any) -> None:
        """Switch to the WebSocket protocol, unless the connection is beyond the limit."""
        self._stop_timer()
        if self in self.reserve:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            super().handle_websocket_upgrade(*event)

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._unparsed = 0
        if self._max_unparsed > MAX_HEADER_BYTES and _header_bytes(self.headers) + len(self.url) > MAX_HEADER_BYTES:
            self.refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise ValueError("headers too large")
        if [name for name, _ in self.headers].count(b"host") > 1:
            raise ValueError("two hosts")
        super().on_headers_complete()
        self.scope["headers"] = self.headers.copy()  # uvicorn appends trailers to the headers
        self._header_count = len(self.headers)
        if not self.pipeline:
            self._running = self.cycle
        if len(self.pipeline) > MAX_PIPELINED_REQUESTS:
            raise ValueError("too many requests at once")

    def on_body(self, body: bytes) -> None:
        self._unparsed = max(0, self._unparsed - len(body) - MAX_CHUNK_OVERHEAD_BYTES)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Refuse trailers that are too large."""
        has_trailers = len(self.headers) > self._header_count
        if has_trailers and _header_bytes(self.headers[self._header_count :]) > MAX_HEADER_BYTES:
            self.refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise ValueError("trailers too large")
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._running = self.pipeline[-1][0] if self.pipeline else None
        super().on_response_complete()
        if self._has_partial_headers():  # they arrived during the response
            self._wait_for_headers()

    def shutdown(self) -> None:
        """Announce the end of the connection in further responses, and close it after a short delay.

        Closing it immediately would lose a request that is on its way.
        """
        if self.is_refused:
            self.transport.close()
        elif not get_settings().is_production:  # a developer waits for the restart
            self._shut_down()
        else:
            self._announce_close()
            self.loop.call_later(DRAIN_SECONDS, self._shut_down)

    def _announce_close(self) -> None:
        if CLOSE_HEADER not in self.server_state.default_headers:
            self.server_state.default_headers = [*self.server_state.default_headers, CLOSE_HEADER]
        if self._is_responding() and not self.cycle.response_started:
            self.cycle.default_headers = self.server_state.default_headers

    def _shut_down(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    def send_400_response(self, _msg: str) -> None:
        self._refuse(self.refusal)

    def _has_partial_headers(self) -> bool:
        return self.scope is not None and (self.cycle is None or self.cycle.scope is not self.scope)

    def _refuse_excess(self) -> None:
        trailers = [] if self._has_partial_headers() else self.headers[self._header_count :]
        if max(self._unparsed, _header_bytes(trailers)) > MAX_HEADER_BYTES and not self.is_refused:
            self.logger.warning("Too many bytes of headers received.")
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _refuse(self, status: HTTPStatus) -> None:
        """Stop reading, and send an error unless another response has started."""
        if self.is_refused or self.transport.is_closing():
            return
        self.is_refused = True
        if not self._is_responding() or not (self.cycle.response_started or self.pipeline):
            self.transport.write(_error_response(status))
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.transport.pause_reading()
        self.loop.call_later(CLOSE_TIMEOUT_SECONDS, self._close)

    def _close(self) -> None:
        self._disconnect_running()
        self.transport.close()

    def _disconnect_running(self) -> None:
        """End the response that is being sent. uvicorn ends only the newest of pipelined requests."""
        if self._running:
            self._running.disconnected = True
            self._running.message_event.set()

    def _add_to_reserve(self) -> None:
        if self.loop.time() - Protocol.warned_at > WARNING_INTERVAL_SECONDS:
            Protocol.warned_at = self.loop.time()
            logger.warning("More than MAX_HTTP_CONNECTIONS connections are open. New ones get 503.")
        self.app = HealthOnly(self.app)
        self.reserve[self] = None
        if len(self.reserve) > RESERVED_CONNECTIONS:
            longest_idle = next((connection for connection in self.reserve if not connection._is_responding()), self)
            self.reserve.pop(longest_idle)
            longest_idle.transport.close()

    def _is_responding(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_headers(self) -> None:
        self._stop_timer()
        self.timer = self.loop.call_later(HEADER_TIMEOUT_SECONDS, self._on_late_headers)

    def _on_late_headers(self) -> None:
        if self._has_partial_headers():
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:  # browsers open connections in advance
            self.transport.close()

    def _stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class HealthOnly:
    """The application for connections beyond the limit: health checks work, other requests get 503."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), CLOSE_HEADER]
            await send(message)

        if path_below_root(scope) in MACHINE_PATHS:
            await self.app(scope, receive, send_and_close)
            return
        await send({"type": "http.response.start", "status": 503, "headers": BUSY_HEADERS})
        await send({"type": "http.response.body", "body": BUSY})


def _header_bytes(headers: Iterable[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)  # 4 bytes of separators


def _error_response(status: HTTPStatus) -> bytes:
    text = f"{status.phrase}.\n"
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: text/plain; charset=utf-8",
        f"content-length: {len(text)}",
        "connection: close",
    )
    return "\r\n".join([*lines, "", text]).encode()
