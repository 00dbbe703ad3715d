"""uvicorn's httptools protocol with limits."""

from http import HTTPStatus
from operator import itemgetter
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from opportune.server.connections.limits import (
    MAX_CHUNK_OVERHEAD_BYTES,
    MAX_HEADER_BYTES,
    ConnectionLimits,
    header_bytes,
)

MAX_PIPELINED_REQUESTS = 16
"""Maximum requests that wait on one connection for the response to an earlier one."""

NAME = itemgetter(0)


class Protocol(ConnectionLimits, HttpToolsProtocol):
    """Counts the bytes that the parser has not turned into events yet, because it does not limit them."""

    # With more than 30 attributes, uvicorn's 28 included, each connection would need a dict of 1.2 kB.
    __slots__ = ("_header_count", "_max_unparsed", "_unparsed", "timer")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.timer = None
        self._unparsed = 0
        self._max_unparsed = 0
        """Upper limit of the unparsed bytes. Only if it exceeds the maximum are they measured exactly."""
        self._header_count = 0

    def data_received(self, data: bytes) -> None:
        self._max_unparsed = self._unparsed = self._unparsed + len(data)
        super().data_received(data)
        if self._max_unparsed > MAX_HEADER_BYTES:
            self._refuse_excess()

    def on_headers_complete(self) -> None:
        self.stop_timer()
        self._unparsed = 0
        if self._max_unparsed > MAX_HEADER_BYTES and header_bytes(self.headers) + len(self.url) > MAX_HEADER_BYTES:
            self.refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise ValueError("headers too large")
        if [*map(NAME, self.headers)].count(b"host") > 1:
            raise ValueError("two hosts")
        super().on_headers_complete()
        self.scope["headers"] = self.headers.copy()  # uvicorn appends trailers to the headers
        self._header_count = len(self.headers)
        if len(self.pipeline) > MAX_PIPELINED_REQUESTS:
            raise ValueError("too many requests at once")

    def on_body(self, body: bytes) -> None:
        self._unparsed = max(0, self._unparsed - len(body) - MAX_CHUNK_OVERHEAD_BYTES)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Refuse trailers that are too large."""
        has_trailers = len(self.headers) > self._header_count
        if has_trailers and header_bytes(self.headers[self._header_count :]) > MAX_HEADER_BYTES:
            self.refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise ValueError("trailers too large")
        super().on_message_complete()

    def has_partial_headers(self) -> bool:
        return self.scope is not None and (self.cycle is None or self.cycle.scope is not self.scope)

    def _refuse_excess(self) -> None:
        trailers = [] if self.has_partial_headers() else self.headers[self._header_count :]
        if max(self._unparsed, header_bytes(trailers)) > MAX_HEADER_BYTES and not self.is_refused:
            self.logger.warning("Too many bytes of headers received.")
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
