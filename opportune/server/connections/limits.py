"""What a connection may cost before the site is asked: bytes of headers, time, and that it is open at all.

uvicorn limits none of it, and its faster parser reads headers without end. Its two protocol classes are subclassed
beside this file; what they share is here.
"""

import asyncio
import logging
from collections.abc import Iterable
from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

from opportune.config.settings import get_settings
from opportune.web.health import MACHINE_PATHS
from opportune.web.middleware.security_headers import security_headers

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("opportune.server")

MAX_HEADER_BYTES = 65_536
"""Request line and headers together; and whatever comes with a body and is none of it."""
MAX_CHUNK_OVERHEAD_BYTES = 64
"""What may stand around each piece of a body, uncounted."""
HEADER_TIMEOUT_SECONDS = 20
"""From the connection, or the first byte of a later request, to the end of the headers."""
RESERVED_CONNECTIONS = 100
"""Open beyond MAX_HTTP_CONNECTIONS: for health checks, and to tell others to come back. Who is silent goes first."""
CLOSE_TIMEOUT_SECONDS = 1
"""A connection that is closed with bytes of it unread loses the answer on its way: who sends has so long to read it."""
DRAIN_SECONDS = 1
"""For which connections that were kept stay open when the server ends: a request may be on its way."""
WARNING_INTERVAL_SECONDS = 60
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


class ConnectionLimits(asyncio.Protocol):
    """Limits of one connection: goes before a protocol class of uvicorn's, which has these attributes."""

    app: "ASGIApp"
    app_state: dict[str, Any]
    config: Any
    connections: set[Any]
    cycle: Any
    loop: asyncio.AbstractEventLoop
    server_state: Any
    transport: asyncio.Transport

    reserve: ClassVar[dict["ConnectionLimits", None]] = {}
    """Connections of this process beyond MAX_HTTP_CONNECTIONS, the oldest first."""
    opened: ClassVar[set[Any]] = set()
    """Those that the server of this process has, once somebody has come."""
    warned_at: ClassVar[float] = -inf
    refusal = HTTPStatus.BAD_REQUEST
    """What the parser's next complaint is answered with."""
    refused = False
    timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        ConnectionLimits.opened = self.connections
        if len(self.connections) > get_settings().max_http_connections:
            self._enter_reserve()
        self._wait_for_headers()
        if acceptor := getattr(self.config, "acceptor", None):
            acceptor.accept_others(self._make_another)

    def data_received(self, data: bytes) -> None:
        if self.refused:
            return
        super().data_received(data)
        if self.timer is None and not self._is_answering() and not self._is_websocket():
            self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop_timer()
        self.reserve.pop(self, None)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, *event: Any) -> None:
        """Hand the connection over to a protocol for WebSockets, unless it is one too many."""
        self.stop_timer()
        if self in self.reserve:
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            super().handle_websocket_upgrade(*event)  # type: ignore[misc]  # uvicorn's

    def _is_websocket(self) -> bool:
        return self.transport.get_protocol() is not self

    def on_response_complete(self) -> None:
        super().on_response_complete()  # type: ignore[misc]  # uvicorn's
        if self.has_begun_headers():  # they came while the answer was on its way
            self._wait_for_headers()

    def shutdown(self) -> None:
        """The server ends: each further answer says that the connection does, too, and who is silent keeps it a little.

        What is on its way, or about to be sent on a connection that was kept, would be lost otherwise.
        """
        if self.refused:
            self.transport.close()
        elif not get_settings().is_production:  # whoever writes the site waits for it
            self._shut_down()
        else:
            self._say_close()
            self.loop.call_later(DRAIN_SECONDS, self._shut_down)

    def _say_close(self) -> None:
        if CLOSE_HEADER not in self.server_state.default_headers:
            self.server_state.default_headers = [*self.server_state.default_headers, CLOSE_HEADER]
        if self._is_answering() and not self.cycle.response_started:
            self.cycle.default_headers = self.server_state.default_headers

    def _shut_down(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()  # type: ignore[misc]  # uvicorn's

    def send_400_response(self, _msg: str) -> None:
        self.refuse(self.refusal)

    def has_begun_headers(self) -> bool:
        raise NotImplementedError

    def refuse(self, status: HTTPStatus) -> None:
        """Read no more, and say why unless another answer is on its way."""
        if self.refused or self.transport.is_closing():
            return
        self.refused = True
        if not self._is_answering() or not (self.cycle.response_started or getattr(self, "pipeline", ())):
            self.transport.write(_answer(status))
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.transport.pause_reading()
        self.loop.call_later(CLOSE_TIMEOUT_SECONDS, self.transport.close)

    def _enter_reserve(self) -> None:
        if self.loop.time() - ConnectionLimits.warned_at > WARNING_INTERVAL_SECONDS:
            ConnectionLimits.warned_at = self.loop.time()
            logger.warning("More than MAX_HTTP_CONNECTIONS are open: new ones are answered 503.")
        self.app = HealthOnly(self.app)
        self.reserve[self] = None
        if len(self.reserve) > RESERVED_CONNECTIONS:
            longest_silent = next((one for one in self.reserve if not one._is_answering()), self)
            self.reserve.pop(longest_silent)
            longest_silent.transport.close()

    def _make_another(self) -> asyncio.Protocol:
        """For the next connection to the same server."""
        make: Any = type(self)  # with uvicorn's arguments
        protocol: asyncio.Protocol = make(self.config, self.server_state, self.app_state, self.loop)
        return protocol

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_headers(self) -> None:
        self.stop_timer()
        self.timer = self.loop.call_later(HEADER_TIMEOUT_SECONDS, self._on_late_headers)

    def _on_late_headers(self) -> None:
        if self.has_begun_headers():
            self.refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:  # browsers open connections that they may need
            self.transport.close()

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class HealthOnly:
    """The application for a connection that is one too many: health checks, and 503 for all else."""

    def __init__(self, app: "ASGIApp") -> None:
        self.app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        async def send_and_close(message: "Message") -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), CLOSE_HEADER]
            await send(message)

        if scope["path"] in MACHINE_PATHS:
            await self.app(scope, receive, send_and_close)
            return
        await send({"type": "http.response.start", "status": 503, "headers": BUSY_HEADERS})
        await send({"type": "http.response.body", "body": BUSY})


def bytes_of(headers: Iterable[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)  # 4 stand around them


def _answer(status: HTTPStatus) -> bytes:
    text = f"{status.phrase}.\n"
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: text/plain; charset=utf-8",
        f"content-length: {len(text)}",
        "connection: close",
    )
    return "\r\n".join([*lines, "", text]).encode()
