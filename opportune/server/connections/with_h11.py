"""uvicorn's h11 protocol with limits, for systems without httptools."""

from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from opportune.server.connections.limits import (
    MAX_CHUNK_OVERHEAD_BYTES,
    MAX_HEADER_BYTES,
    ConnectionLimits,
    header_bytes,
)

Event = h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]


class Protocol(ConnectionLimits, H11Protocol):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn: Connection = Connection(self)

    def has_partial_headers(self) -> bool:
        return bool(self.conn.trailing_data[0].strip(b"\r\n"))


class Connection(h11.Connection):
    """Adds limits to h11, which already limits incomplete headers and refuses two Host headers."""

    def __init__(self, protocol: Protocol) -> None:
        super().__init__(h11.SERVER, MAX_HEADER_BYTES)
        self._protocol = protocol
        self._unparsed = 0

    def receive_data(self, data: bytes) -> None:
        self._unparsed += len(data)
        super().receive_data(data)

    def next_event(self) -> Event:
        try:
            event = super().next_event()
            self._measure(event)
        except h11.RemoteProtocolError as error:
            self._protocol.refusal = HTTPStatus(error.error_status_hint)
            raise
        return event

    def _measure(self, event: Event) -> None:
        size = 0
        if isinstance(event, h11.Data):
            self._unparsed = max(0, self._unparsed - len(event.data) - MAX_CHUNK_OVERHEAD_BYTES)
        elif isinstance(event, h11.Request | h11.EndOfMessage):
            self._unparsed, size = 0, _size(event)
            self._protocol.stop_timer()
        elif event is h11.NEED_DATA:
            size = self._unparsed
        if size > MAX_HEADER_BYTES:
            raise h11.RemoteProtocolError("too much", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)


def _size(event: h11.Request | h11.EndOfMessage) -> int:
    return header_bytes(event.headers) + (len(event.target) if isinstance(event, h11.Request) else 0)
