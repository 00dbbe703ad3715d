"""Events in a body of bytes: server-sent events, JSON lines, or one JSON document.

httpx-sse is not used: it accepts lines of any length, and fails at what endpoints really send.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic_core import from_json

from opportune.contrib.llm.providers.loose_json import json_objects_in
from opportune.contrib.llm.providers.provider import LlmError, not_a_model
from opportune.i18n import gettext_lazy as _l

MAX_LINE_BYTES = 1_000_000
"""Maximum length of a line, and of the lines of one event."""
MAX_BODY_BYTES = 100_000_000
"""Maximum length of all events, of which an answer may ignore most."""
AROUND_LINES = b" \t\0\r\n"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
FIELD = re.compile(
    rb"(?:data:[ \t]*(?=data:))*(data|event|id|retry|error|)[ \t]*(?::|$)[ \t]*(.*)", re.DOTALL | re.IGNORECASE
)
END = re.compile(rb"\W*(?:(?:data\W*)?DONE\W*)+", re.IGNORECASE)
AROUND_JSON = b" \t,[]\0\x1e"
"""Bytes around the objects of a list in lines, of a JSON text sequence, and of heartbeats."""
NOT_AN_ANSWER = _l("The model's endpoint sent something that is not an answer.")


class Event(NamedTuple):
    """One JSON object. `name` is `error` for errors, `done` for the end, and empty for most others."""

    name: str
    value: dict[str, Any]


DONE = Event("done", {})
END_OF_DOCUMENT = Event("document", {})
"""Follows the only event of a body that is one JSON value, not a stream."""


class EventReader:
    """Reads server-sent events, JSON lines or one JSON document from chunks of bytes, cut anywhere.

    Data that is not a JSON object is skipped.
    """

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES, *, is_page: bool = False) -> None:
        """Read a body.

        Args:
            max_line_bytes: Maximum length of a line.
            is_page: The body is called a web page, and is one if any line begins like a tag.
        """
        self._is_page = is_page
        self._max_line_bytes = max_line_bytes
        self._rest = bytearray()  # beginning of a line
        self._body_bytes = 0
        self._has_lines = False
        self._has_fields = False
        self._values = 0  # number of JSON values
        self._name = ""
        self._data = bytearray()  # lines of data that are not complete JSON, until the blank line after the event

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that a chunk completes.

        Raises:
            LlmError: A line or an event is too long, or the body is a web page.
        """
        self._body_bytes += len(chunk)
        ends_line = b"\n" in chunk or b"\r" in chunk or self._rest.endswith(b"\r")
        self._rest += chunk
        if ends_line:
            lines = bytes(self._rest).splitlines(keepends=True)
            # A line break may follow in the next chunk, after a carriage return.
            self._rest = bytearray(b"" if lines[-1].endswith(b"\n") else lines.pop())
            for line in lines:
                yield from self._read_line(line)
        longest = max(len(self._rest), len(self._data))
        if longest > self._max_line_bytes or self._body_bytes > MAX_BODY_BYTES:
            raise LlmError("malformed", NOT_AN_ANSWER)

    def finish(self) -> Iterator[Event]:
        """Yield the last event, if no blank line follows it."""
        yield from self._read_line(bytes(self._rest))
        if self._data and not self._values:
            self._read_text(self._data.decode(errors="replace"))
        yield from self._end_event()
        if self._values == 1 and not self._has_fields:
            yield END_OF_DOCUMENT

    def _read_text(self, text: str) -> None:
        """Read a text instead of an answer as the message of an error, unless it is the beginning of an answer."""
        if text.startswith(("{", "[")):
            return
        if self._is_page or "\ufffd" in text:
            raise not_a_model()
        self._name = "error"

    def _read_line(self, line: bytes) -> list[Event]:
        line = line.strip(AROUND_LINES).removeprefix(BYTE_ORDER_MARK).strip(AROUND_LINES)
        if not line:
            return self._end_event()
        if line.startswith(b"<") and (self._is_page or not self._has_lines):
            raise not_a_model()
        self._has_lines = True
        field = FIELD.match(line)
        if not field:
            return self._read_data(line)
        self._has_fields = True
        name = field[1].lower()
        if name == b"event":
            self._name = field[2].decode(errors="replace").lower()
            self._name = "" if self._name == "message" else self._name  # the name of events without one
        if name == b"error":
            self._name = "error"
        return self._read_data(field[2]) if name in (b"data", b"error") else []

    def _read_data(self, data: bytes) -> list[Event]:
        # Most events are one line. Some endpoints send no blank line between them.
        events = None if self._data else self._parse(data)
        if events is None:
            self._data += data + b"\n"
        return events or []

    def _end_event(self) -> list[Event]:
        data = bytes(self._data)
        self._data.clear()
        events = self._parse(data) if data else []
        if events is None:  # lines that do not belong together
            events = [event for line in data.splitlines() for event in self._parse(line) or ()]
        if self._name == "error" and not events:
            events = [Event("error", {"message": data.decode(errors="replace")})]
        self._name = ""
        return events

    def _parse(self, data: bytes) -> list[Event] | None:
        """Return the events in JSON data; None for other data."""
        try:
            value = from_json(data)
        except ValueError:
            if not data.strip(AROUND_JSON):
                return []
            if END.fullmatch(data):
                return [DONE]
            value = json_objects_in(_decode(data))
            if not value:
                return None
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, str):  # encoded twice
            return self._parse(value.encode(errors="replace"))
        values = value if isinstance(value, list) else [value]
        self._values += 1
        return [Event(self._name, value) for value in values if isinstance(value, dict)]


def _decode(data: bytes) -> str:
    """Return a text in UTF-8, or in the encoding of Windows if none of its characters is in UTF-8."""
    text = data.decode(errors="replace")
    has_utf8 = "\ufffd".encode() in data or not text.replace("\ufffd", "").isascii()
    return text if has_utf8 else data.decode("cp1252", errors="replace")
