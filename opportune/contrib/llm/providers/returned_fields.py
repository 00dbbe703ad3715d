"""Fields of an answer that its endpoint needs back: reasoning, signatures and encrypted data.

Gemini needs `extra_content` of each tool call, DeepSeek and Kimi `reasoning_content`, OpenRouter `reasoning_details`.
They are stored with the tool calls as `{"origin": …, "message": {…}, "call": {…}}`, and only sent to their origin.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from math import isfinite
from typing import Any

from opportune.contrib.llm.providers.growing_text import GrowingText
from opportune.contrib.llm.providers.provider import ToolCall
from opportune.contrib.llm.providers.tool_calls import objects_in
from opportune.schemas.text import make_storable

TEXT_FIELDS = ("reasoning_content", "reasoning", "reasoning_text")
LIST_FIELDS = ("reasoning_details", "thinking_blocks")
RETURNED_FIELDS = frozenset({*TEXT_FIELDS, *LIST_FIELDS, "reasoning_opaque", "extra_content"})
JOINED_TEXTS = ("text", "summary", "thinking", "data")
MAX_RETURNED_LENGTH = 1_000_000
"""Characters of the fields of one answer. Longer ones are dropped, because parts of encrypted data are invalid."""
MAX_DEPTH = 10

Returned = Mapping[str, Any]


class ReturnedFields:
    """Collects the fields from the pieces of one answer."""

    def __init__(self, origin: str) -> None:
        """`origin`: identifies endpoint and model."""
        self._origin = origin
        self._fields: dict[str, Any] = {}
        self._length = 0

    @property
    def names(self) -> Set[str]:
        return self._fields.keys()

    def add(self, delta: Mapping[str, Any]) -> None:
        for name in RETURNED_FIELDS & delta.keys():
            value = delta[name]
            self._length += len(value) if isinstance(value, str) else len(repr(value))
            if self._length > MAX_RETURNED_LENGTH:
                self._fields.clear()
                return
            self._add_field(name, value)

    def _add_field(self, name: str, value: Any) -> None:
        if name in LIST_FIELDS:
            for piece in objects_in(value):
                _add_piece(self._fields.setdefault(name, []), piece)
        elif name in TEXT_FIELDS:
            if isinstance(value, str):
                text = self._fields.get(name) or self._fields.setdefault(name, GrowingText())
                text.add(value)
        elif value and (name != "extra_content" or "signature" in repr(value)):
            self._fields[name] = value

    def of_message(self) -> Returned:
        """Return the fields of an answer without calls; empty if there are none."""
        if not self._fields:
            return {}
        fields = {
            name: value.text + value.held if isinstance(value, GrowingText) else value
            for name, value in self._fields.items()
        }
        return {"origin": self._origin, "message": storable_json(fields)}

    def attach_to(self, calls: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
        """Return the calls with their fields. The first one also has those of the message."""
        attached, message = list[ToolCall](), self.of_message()
        for call in calls:
            returned = dict(message) if not attached else {}
            if call.returned:
                returned |= {"origin": self._origin, "call": storable_json(call.returned)}
            attached.append(replace(call, returned=returned))
        return tuple(attached)


def fields_for(origin: str, returned: Returned, part: str) -> Mapping[str, Any]:
    """Return the fields of a message or a call, if they came from this endpoint."""
    fields = returned.get(part) if returned.get("origin") == origin else None
    return fields if isinstance(fields, dict) else {}


def _add_piece(entries: list[dict[str, Any]], piece: Mapping[str, Any]) -> None:
    """Add a piece to the entry that it continues, or as a new entry."""
    is_numbered = piece.get("index") is not None
    for entry in reversed(entries if is_numbered else entries[-1:]):
        if _continues(piece, entry):
            _extend(entry, piece)
            return
    entries.append(dict(piece))


def _continues(piece: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    if piece.get("type") != entry.get("type") or piece.get("index") != entry.get("index"):
        return False
    if piece.get("id") and entry.get("id") not in (None, piece["id"]):
        return False
    if piece.get("index") is not None:
        return True
    is_signed = bool(entry.get("signature"))  # a signature is the last piece of an entry
    return not is_signed and "data" not in piece


def _extend(entry: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """Append the texts of a piece to those of its entry, and replace other values."""
    for name, value in piece.items():
        is_repeated = name == "data" and value == entry.get(name)
        if value is None or is_repeated:
            continue
        is_text = isinstance(value, str) and isinstance(entry.get(name), str)
        entry[name] = entry[name] + value if is_text and name in JOINED_TEXTS else value


def storable_json(value: Any, depth: int = 0) -> Any:
    """Return JSON without characters that databases refuse."""
    if isinstance(value, str):
        return make_storable(value)
    if isinstance(value, list | dict) and depth == MAX_DEPTH:
        return None
    if isinstance(value, list):
        return [storable_json(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {make_storable(name): storable_json(item, depth + 1) for name, item in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value
