"""Fields that an endpoint needs back with the next question.

Gemini needs `extra_content` of each tool call, DeepSeek and Kimi `reasoning_content`, OpenRouter `reasoning_details`.
These fields are stored with the tool calls as `{"origin": …, "message": {…}, "call": {…}}`, and only sent to their
origin.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from opportune.contrib.llm.providers.growing_text import GrowingText
from opportune.contrib.llm.providers.loose_json import objects_in, text_in
from opportune.contrib.llm.providers.provider import ToolCall
from opportune.schemas.text import make_storable_json

TEXT_FIELDS = ("reasoning_content", "reasoning", "reasoning_text")
LIST_FIELDS = ("reasoning_details", "thinking_blocks")
OTHER_FIELDS = frozenset({*LIST_FIELDS, "reasoning_opaque", "extra_content"})
RETURNED_FIELDS = OTHER_FIELDS | {*TEXT_FIELDS}
REASONING_FIELDS = (*TEXT_FIELDS, "thinking", *LIST_FIELDS)
"""Fields with reasoning. Some endpoints send the same text in several of them."""
JOINED_TEXTS = ("text", "summary", "thinking", "data")
MAX_RETURNED_LENGTH = 1_000_000
"""Maximum number of characters. Longer fields are dropped, because parts of encrypted data are invalid."""

Returned = Mapping[str, Any]


class ReturnedFields:
    """Collects the fields from the pieces of one answer."""

    def __init__(self, origin: str) -> None:
        """`origin`: identifies endpoint and model."""
        self._origin = origin
        self._reasoning = defaultdict[str, GrowingText](GrowingText)
        self._others: dict[str, Any] = {}
        self._length = 0

    @property
    def _is_too_long(self) -> bool:
        return self._length > MAX_RETURNED_LENGTH

    def add(self, fields: Mapping[str, Any], *, is_whole: bool = False) -> str:
        """Add the fields of a piece, and return the reasoning that it adds.

        Args:
            fields: All fields of the piece.
            is_whole: The piece may repeat what was already sent.
        """
        for name in OTHER_FIELDS & fields.keys():
            self._length += len(repr(fields[name]))
            if not self._is_too_long:
                self._add_other(name, fields[name], is_whole=is_whole)
        reasoning = ""
        for name in REASONING_FIELDS:
            if name in fields and (name in TEXT_FIELDS or not reasoning):
                added = self._reasoning[name].add(text_in(fields[name]), is_whole=is_whole)
                reasoning = reasoning or added
        return reasoning

    def _add_other(self, name: str, value: Any, *, is_whole: bool) -> None:
        if is_whole and name in self._others:
            return
        if name in LIST_FIELDS:
            for piece in objects_in(value):
                _add_entry(self._others.setdefault(name, []), piece)
        elif value and (name != "extra_content" or "signature" in repr(value)):
            self._others[name] = value

    def pending(self) -> str:
        """Return reasoning that was held back."""
        return next((text.pending for text in self._reasoning.values() if text.pending), "")

    def of_message(self) -> Returned:
        """Return the fields of an answer without calls; empty if there are none."""
        texts = {name: text.text + text.pending for name, text in self._reasoning.items() if name in TEXT_FIELDS}
        fields = {name: text for name, text in texts.items() if text} | self._others
        if not fields or self._is_too_long:
            return {}
        return {"origin": self._origin, "message": make_storable_json(fields)}

    def attach_to(self, calls: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
        """Return the calls with their fields. The first one also has those of the message."""
        attached = list[ToolCall]()
        for call in calls:
            message = {} if attached else self.of_message()
            own = {"origin": self._origin, "call": make_storable_json(call.returned)} if call.returned else {}
            attached.append(replace(call, returned={**message, **own}))
        return tuple(attached)


def _add_entry(entries: list[dict[str, Any]], piece: Mapping[str, Any]) -> None:
    """Append the texts of a piece to the entry that it continues and replace its other values, or add an entry."""
    candidates = entries[-1:] if piece.get("index") is None else entries[::-1]
    entry = next((entry for entry in candidates if _continues(piece, entry)), None)
    if entry is None:
        entries.append(dict(piece))
        return
    for name, value in piece.items():
        is_text = isinstance(value, str) and isinstance(entry.get(name), str) and name in JOINED_TEXTS
        is_repeated = name == "data" and value == entry.get(name)
        if value is not None and not is_repeated:
            entry[name] = entry[name] + value if is_text else value


def _continues(piece: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    if (piece.get("type"), piece.get("index")) != (entry.get("type"), entry.get("index")):
        return False
    if piece.get("id") and entry.get("id") not in (None, piece["id"]):
        return False
    if piece.get("index") is not None:
        return True
    # Without an index, a signature is the last piece of an entry, and encrypted data is a whole one.
    return not entry.get("signature") and "data" not in piece


def fields_for(origin: str, returned: Returned, part: str) -> Mapping[str, Any]:
    """Return the fields of a message or a call, if they came from this endpoint."""
    fields = returned.get(part) if returned.get("origin") == origin else None
    return fields if isinstance(fields, dict) else {}
