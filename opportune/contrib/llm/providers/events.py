"""Events in the body of a response: server-sent events, JSON lines, or one JSON document.

httpx-sse is not used: it accepts lines of any length, and fails at what endpoints really send.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic_core import from_json

from opportune.contrib.llm.providers.errors import not_a_model
from opportune.contrib.llm.providers.loose_json import json_objects_in
from opportune.contrib.llm.providers.provider import LlmError
from opportune.i18n import gettext_lazy as _l

MAX_LINE_BYTES = 1_000_000
"""Maximum length of a line, and of the lines of one event."""
MAX_BODY_BYTES = 100_000_000
"""Maximum length of all events, of which an answer may ignore most."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
OTHER_FIELD = re.compile(rb"(event|id|retry|data|error)?[ \t]*(?::|$)(.*)", re.DOTALL | re.IGNORECASE)
"""Name and value of a field. `error` is a field of llama.cpp."""
AROUND_JSON = b" \t,[]\0\x1e"
"""Characters around the objects of a list that is sent line by line, of a JSON text sequence, and of heartbeats."""
NOT_AN_ANSWER = _l("The model's endpoint sent something that is not an answer.")


class Event(NamedTuple):
    """One JSON object. `name` is `error` for errors, `done` for the end, and empty for most others."""

    name: str
    value: dict[str, Any]


DONE = Event("done", {})


class EventReader:
    """Reads events from chunks of bytes, cut anywhere. Data that is not a JSON object is skipped."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._body_bytes = 0
        self._ends_with_return = False
        self._has_begun = False
        self._name = ""
        self._data: list[bytes] = []
        """Lines of data that are not complete JSON, until the blank line after the event."""
        self._data_bytes = 0

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that a chunk completes.

        Raises:
            LlmError: A line or an event is too long, or the body is a web page.
        """
        if self._ends_with_return:
            chunk = chunk.removeprefix(b"\n")
        self._ends_with_return = chunk.endswith(b"\r")
        if b"\n" in chunk or b"\r" in chunk:
            *lines, rest = (bytes(self._line) + chunk + b".").splitlines()  # a full stop after the last line break
            self._line = bytearray(rest[:-1])
            for line in lines:
                yield from self._read_line(line)
        else:
            self._line += chunk
        self._body_bytes += len(chunk)
        if len(self._line) > MAX_LINE_BYTES or self._body_bytes > MAX_BODY_BYTES:
            raise LlmError("malformed", NOT_AN_ANSWER)

    def finish(self) -> Iterator[Event]:
        """Yield the last event, if no blank line follows it."""
        yield from self._read_line(bytes(self._line))
        yield from self._end_event()

    def _read_line(self, line: bytes) -> Iterator[Event]:
        if line.startswith(b"data:"):
            self._has_begun = True
            yield from self._add_data(line[5:].strip())
            return
        line = line.removeprefix(BYTE_ORDER_MARK).strip(b" \t\0")
        if line.startswith(b"<") and not self._has_begun:
            raise not_a_model()
        self._has_begun |= bool(line)
        if not line:
            yield from self._end_event()
        elif field := OTHER_FIELD.match(line):
            name, value = (field[1] or b"").lower(), field[2].strip()
            if name in (b"event", b"error"):
                self._name = (value if name == b"event" else name).decode(errors="replace").lower()
            if name in (b"data", b"error"):
                yield from self._add_data(value)
        else:
            yield from self._add_data(line)

    def _add_data(self, data: bytes) -> Iterator[Event]:
        while data.startswith(b"data:"):  # some proxies add the field twice
            data = data[5:].lstrip()
        # Most events are one line. Some endpoints send no blank line between them.
        events = None if self._data else self._parse(data) if data.strip(AROUND_JSON) else []
        if events is None:
            self._data.append(data)
            self._data_bytes += len(data)
            if self._data_bytes > MAX_LINE_BYTES:
                raise LlmError("malformed", NOT_AN_ANSWER)
        yield from events or ()

    def _end_event(self) -> Iterator[Event]:
        lines, self._data, self._data_bytes = self._data, [], 0
        if lines:
            events = self._parse(b"\n".join(lines))
            if events is None:  # lines that do not belong together
                events = [event for line in lines for event in self._parse(line) or ()]
            yield from events
        if self._name == "error":
            yield Event("error", {})  # its data was not an object
        self._name = ""

    def _parse(self, data: bytes) -> list[Event] | None:
        """Return the events in JSON data; None for other data."""
        if data[:1] != b"{" and data.strip(b'"[]{} \t').upper() == b"DONE":
            return [DONE]
        try:
            value = from_json(data)
        except ValueError:
            value = json_objects_in(data.decode(errors="replace"))
            if not value:
                return None
        if isinstance(value, str) and value.startswith("{"):  # encoded twice
            return self._parse(value.encode(errors="replace"))
        values = value if isinstance(value, list) else [value]
        return [Event(self._name, value) for value in values if isinstance(value, dict)]
