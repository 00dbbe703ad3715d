"""Parts of an answer that arrive in pieces: texts, tool calls, and fields that the endpoint needs back.

Gemini needs `extra_content` of each tool call, DeepSeek and Kimi `reasoning_content`, OpenRouter `reasoning_details`.
These fields are stored with the tool calls as `{"origin": …, "message": {…}, "call": {…}}`, and only sent to their
origin.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain
from math import isfinite
from typing import Any, NamedTuple

from opportune.contrib.llm.providers.loose_json import is_object, json_in, json_objects_in, key_in, objects_in, text_in
from opportune.contrib.llm.providers.provider import ToolCall
from opportune.schemas.text import make_storable

MIN_DISTINCT_CHARACTERS = 5
"""Different characters of a text that is not repeated by chance."""
MAX_TOOL_CALLS = 128
"""Maximum number of calls that are read. `converse` runs fewer, and tells the model so."""
ID_FIELDS = ("call_id", "id", "toolUseId")
NAME_FIELDS = ("name", "tool_name", "tool", "function", "action")
ARGUMENT_FIELDS = ("arguments", "parameters", "input", "args", "action_input", "partial_json")
VENDOR_TYPE = re.compile("server_|mcp_")
"""Calls that the vendor runs."""
CUT = "{"
"""Arguments that are no JSON, for a call that the length of the answer cut. The tool does not run."""
SIGNATURE_FIELDS = {"extra_content", "provider_specific_fields", "thought_signature", "thoughtSignature"}
TEXT_FIELDS = ("reasoning_content", "reasoning", "reasoning_text")
LIST_FIELDS = ("reasoning_details", "thinking_blocks")
OTHER_FIELDS = frozenset({*LIST_FIELDS, "reasoning_opaque", "extra_content"})
RETURNED_FIELDS = OTHER_FIELDS | {*TEXT_FIELDS}
REASONING_FIELDS = (*TEXT_FIELDS, "thinking", *LIST_FIELDS)
"""Fields with reasoning. Some endpoints send the same text in several of them."""
JOINED_TEXTS = ("text", "summary", "thinking", "data")
MAX_RETURNED_LENGTH = 1_000_000
"""Maximum number of characters. Longer fields are dropped, because parts of encrypted data are invalid."""
MAX_DEPTH = 10

Returned = Mapping[str, Any]


class GrowingText:
    """A text whose pieces continue it or repeat it from the beginning, as those of DashScope and Qianfan do.

    It finds what each piece adds, and joins characters that are cut.
    """

    def __init__(self) -> None:
        self._added: list[str] = []
        self._length = 0
        self._is_repeated: bool | None = None  # None as long as it is unknown
        self._held = ""  # repeats a short text, perhaps by chance, such as `10` after `1`. The next piece decides.
        self._half = ""  # first half of a surrogate pair whose second half is in the next piece

    @property
    def text(self) -> str:
        """The text that was returned."""
        return "".join(self._added)

    @property
    def pending(self) -> str:
        """Text at the end that was held back."""
        return self._held + "\ufffd" * bool(self._half)

    def add(self, piece: str, *, is_whole: bool = False) -> str:
        """Return the text that a piece adds. `is_whole`: the piece may repeat a text, however short."""
        if self._half or not piece.isascii():
            piece = self._join_halves(piece)
        if is_whole:
            piece = piece.removeprefix(self.text) if piece.strip() != self.text.strip() else ""
        elif self._is_repeated is not False or len(piece) == self._length:
            piece = self._added_by(piece)
        if piece:
            self._added.append(piece)
            self._length += len(piece)
        return piece

    def _join_halves(self, piece: str) -> str:
        """Join surrogate pairs that are cut by pieces, and replace other halves."""
        piece, self._half = self._half + piece, ""
        if "\ud800" <= piece[-1:] <= "\udbff":
            piece, self._half = piece[:-1], piece[-1]
        return piece.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _added_by(self, piece: str) -> str:
        before = self._held or self.text
        added = piece.removeprefix(before)
        if not (piece and before) or (self._is_repeated is False and added):
            return piece
        is_distinct = len({*before}) >= MIN_DISTINCT_CHARACTERS
        if not added and len(self._added) > 1 and is_distinct:  # FastGPT and Coze end with the whole text
            return ""
        if self._is_repeated:
            return added
        if added in ("", piece):  # it does not repeat the text and continue it, so neither do later pieces
            self._is_repeated = False
            held, self._held = self._held, ""
            return held + piece
        # Two pieces in a row, or a text of so many characters, are not repeated by chance.
        if self._held or is_distinct:
            self._is_repeated, self._held = True, ""
            return piece.removeprefix(self.text)
        self._held = piece
        return ""


class CallPiece(NamedTuple):
    """A piece of a call. Most of its parts may be empty.

    Attributes:
        position: Index of the call, as the endpoint counts.
        returned: Fields with signatures.
    """

    position: str
    id: str
    name: str
    arguments: str
    returned: Mapping[str, object]


def read_call(fields: Mapping[str, Any]) -> CallPiece:
    """Read a piece of a call. Endpoints put its name and arguments into objects and fields with various names."""
    function = fields.get("function")
    if not isinstance(function, dict):
        nested = map(fields.get, ("functionCall", "function_call", "custom", "toolUse"))
        function = next((part for part in nested if isinstance(part, dict)), fields)
    name = next(filter(None, (part.get(name) for name in NAME_FIELDS for part in (function, fields))), "")
    arguments = function.get("arguments") or next(filter(None, map(function.get, ARGUMENT_FIELDS)), "")
    if isinstance(arguments, list) and all(isinstance(part, str) for part in arguments):
        arguments = "".join(arguments)
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    returned = {field: fields[field] for field in SIGNATURE_FIELDS & fields.keys() if fields[field]}
    name = name if isinstance(name, str) else ""
    id_ = next(filter(None, (key_in(part.get(name)) for name in ID_FIELDS for part in (fields, function))), "")
    return CallPiece(key_in(fields.get("index")), id_, name, text, returned)


class _Call:
    """A call that may still grow."""

    def __init__(self, piece: CallPiece, *, is_vendors: bool) -> None:
        self.position, self.id, self.name = piece.position, piece.id, ""
        self.is_vendors = is_vendors
        self._arguments = GrowingText()
        self._is_complete = False
        self.returned: dict[str, object] = {}

    @property
    def arguments(self) -> str:
        return self._arguments.text + self._arguments.pending

    def is_continued_by(self, piece: CallPiece) -> bool:
        """Return True for a piece with the same id, or at the same index, that does not begin another call."""
        if not piece.name:
            return True
        is_same_name = piece.name == self.name
        if piece.id and piece.id == self.id:
            # Some endpoints give all calls the same id, others repeat a call at another index.
            if piece.position in ("", self.position) and (is_same_name or not self._is_complete):
                return True
            return is_same_name and self.arguments in ("", piece.arguments)
        if piece.id and self.id:  # some endpoints send a new id with each piece
            return is_same_name and not self._is_complete and piece.arguments[:1] not in ("", "{")
        return not self._is_complete or (is_same_name and not piece.arguments)

    def add(self, piece: CallPiece) -> None:
        self.id = self.id or piece.id
        self.returned |= piece.returned
        if piece.name != self.name:
            self.name += piece.name
        arguments = piece.arguments
        is_whole = is_object(piece.arguments)
        if self._is_complete:  # some endpoints begin or end with {}, or repeat the whole arguments
            is_replaced = self.arguments.strip() == "{}" or (is_whole and arguments.strip() != "{}")
            if not (arguments and is_replaced):
                return
        if self._is_complete or (is_whole and arguments.startswith(self.arguments)):
            self._arguments = GrowingText()
        self._arguments.add(arguments)
        if arguments.strip():
            self._is_complete = arguments.rstrip().endswith("}") and is_object(self.arguments)


class ToolCallReader:
    """Assembles the calls of one answer."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []

    def __len__(self) -> int:
        return sum(not call.is_vendors for call in self._calls)

    def add(self, fields: Mapping[str, Any], *, is_whole: bool = False) -> int:
        """Add a piece of a call, and return the length of its name and arguments.

        Args:
            fields: Index, id, name and arguments, of which most may be missing.
            is_whole: The piece is a whole call, which may already be known.
        """
        piece = read_call(fields)
        known = [(call.name, call.arguments) for call in self._calls] if is_whole else []
        if (piece.name, piece.arguments) in known or not any(piece[1:]):
            return 0
        call = self._find(piece)
        if call is None or not call.is_continued_by(piece):
            if len(self._calls) == MAX_TOOL_CALLS:
                return 0
            is_vendors = VENDOR_TYPE.match(str(fields.get("type"))) is not None
            self._calls.append(call := _Call(piece, is_vendors=is_vendors))
        call.add(piece)
        return len(piece.name) + len(piece.arguments)

    def _find(self, piece: CallPiece) -> _Call | None:
        """Return the newest call with the same id, or else with the same index."""
        newest_first = self._calls[::-1]
        with_id = (call for call in newest_first if piece.id and call.id == piece.id)
        at_position = (call for call in newest_first if not piece.position or call.position in (piece.position, ""))
        # Some endpoints count the pieces. One without a name continues a call.
        return next(chain(with_id, at_position, newest_first[:1] if not piece.name else ()), None)

    def finish(self, *, is_cut: bool = False) -> tuple[ToolCall, ...]:
        """Return the calls in the order of their first pieces. `is_cut`: the last one may be incomplete."""
        calls = [call for call in self._calls if not call.is_vendors and (call.name or call.arguments.strip())]
        finished = list[ToolCall]()
        for call in calls:
            arguments = make_storable(_plain_arguments(call.arguments, is_cut=is_cut and call is calls[-1]))
            id_ = make_storable(call.id)
            is_free = id_ and all(other.id != id_ for other in finished)
            id_ = id_ if is_free else f"call_{len(finished)}"
            finished.append(ToolCall(id_, plain_name(call.name), arguments, call.returned))
        return tuple(finished)


def plain_name(name: str) -> str:
    """Return the name of a function without marks and prefixes, such as `functions.find:0` of Kimi's models."""
    plain = re.sub(r":\d+$", "", make_storable(name).strip().partition("<|")[0])
    return re.sub(r"^(?:(?:functions|default_api)\.|(.+):(?=\1$))", "", plain)


def _plain_arguments(arguments: str, *, is_cut: bool) -> str:
    """Return arguments as JSON without additions of endpoints: quotes, a code fence, a brace, or the object again."""
    text = arguments.strip()
    while text.startswith('"') and isinstance(inner := json_in(text), str):
        text = inner.strip()
    if text in ("", "null", "None", "undefined", "[]"):
        return CUT if is_cut else ""
    if is_object(text):
        return text
    objects = {json.dumps(item, ensure_ascii=False) for item in json_objects_in(text, may_lack_end=not is_cut) if item}
    return objects.pop() if len(objects) == 1 else arguments


class ReturnedFields:
    """Collects the fields from the pieces of one answer."""

    def __init__(self, origin: str) -> None:
        """`origin`: identifies endpoint and model."""
        self._origin = origin
        self._reasoning = defaultdict[str, GrowingText](GrowingText)
        self._others: dict[str, Any] = {}
        self._length = 0

    def add(self, fields: Mapping[str, Any], *, is_whole: bool = False) -> str:
        """Add the fields of a piece, and return the reasoning that it adds.

        Args:
            fields: All fields of the piece.
            is_whole: The piece may repeat what was already sent.
        """
        for name in OTHER_FIELDS & fields.keys():
            self._length += len(repr(fields[name]))
            if self._length < MAX_RETURNED_LENGTH:
                self._add_other(name, fields[name], is_whole)
        reasoning = ""
        for name in REASONING_FIELDS:
            if name in fields and (name in TEXT_FIELDS or not reasoning):
                value = fields[name] if isinstance(fields[name], str | list | dict) else ""
                added = self._reasoning[name].add(text_in(value), is_whole=is_whole)
                reasoning = reasoning or added
        return reasoning

    def _add_other(self, name: str, value: Any, is_whole: bool) -> None:
        if name in LIST_FIELDS:
            for piece in objects_in(value) if not (is_whole and name in self._others) else ():
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
        if not fields or self._length > MAX_RETURNED_LENGTH:
            return {}
        return {"origin": self._origin, "message": storable_json(fields)}

    def attach_to(self, calls: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
        """Return the calls with their fields. The first one also has those of the message."""
        attached = list[ToolCall]()
        for call in calls:
            message = {} if attached else self.of_message()
            own = {"origin": self._origin, "call": storable_json(call.returned)} if call.returned else {}
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
    is_same = (piece.get("type"), piece.get("index")) == (entry.get("type"), entry.get("index"))
    is_other_id = piece.get("id") and entry.get("id") not in (None, piece["id"])
    # Without an index, a signature is the last piece of an entry, and encrypted data is a whole one.
    is_whole = piece.get("index") is None and (entry.get("signature") or "data" in piece)
    return is_same and not is_other_id and not is_whole


def fields_for(origin: str, returned: Returned, part: str) -> Mapping[str, Any]:
    """Return the fields of a message or a call, if they came from this endpoint."""
    fields = returned.get(part) if returned.get("origin") == origin else None
    return fields if isinstance(fields, dict) else {}


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
