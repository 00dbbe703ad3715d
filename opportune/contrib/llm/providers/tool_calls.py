"""Tool calls that arrive in pieces, with ids and indexes or without."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from opportune.contrib.llm.providers.growing_text import GrowingText
from opportune.contrib.llm.providers.loose_json import is_object, json_in, json_objects_in, key_in, objects_in
from opportune.contrib.llm.providers.provider import ToolCall
from opportune.schemas.text import make_storable

MAX_TOOL_CALLS = 128
"""Maximum number of calls that are read. `converse` runs fewer, and tells the model so."""
CALL_FIELDS = ("function", "functionCall", "function_call", "custom", "toolUse")
INDEX_FIELDS = ("index", "output_index", "item_id")
ID_FIELDS = ("call_id", "id", "toolUseId")
NAME_FIELDS = ("name", "tool_name", "tool", "function", "action", "recipient_name")
ARGUMENT_FIELDS = ("arguments", "parameters", "input", "args", "action_input", "partial_json")
VENDOR_TYPE = re.compile(r"server_|mcp_|(?!function|tool|custom)\w+_call$")
"""Calls that the vendor runs."""
CUT = "{"
"""Arguments that are no JSON, for a call that the length of the answer cut. The tool does not run."""
SIGNATURE_FIELDS = {"extra_content", "provider_specific_fields", "thought_signature", "thoughtSignature"}


class CallPiece(NamedTuple):
    """A piece of a call, at an index of the endpoint. Most of its parts may be empty. `returned` has signatures."""

    position: str
    id: str
    name: str
    arguments: str
    returned: Mapping[str, object]


def read_call(fields: Mapping[str, Any]) -> CallPiece:
    """Read a piece of a call. Endpoints put its name and arguments into objects and fields with various names."""
    function = next((part for part in map(fields.get, CALL_FIELDS) if isinstance(part, dict)), fields)
    names = (part.get(name) for name in NAME_FIELDS for part in (function, fields))
    name = next((name for name in names if name and isinstance(name, str)), "")
    values = (part.get(name) for part in (function, fields) for name in ARGUMENT_FIELDS)
    arguments: Any = next(filter(None, values), "")
    if isinstance(arguments, list) and all(isinstance(part, str) for part in arguments):
        arguments = "".join(arguments)
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    returned = {field: fields[field] for field in SIGNATURE_FIELDS & fields.keys() if fields[field]}
    ids = (key_in(part[name]) for name in ID_FIELDS for part in (fields, function) if name in part)
    id_ = next(filter(None, ids), "")
    position = next(filter(None, (key_in(fields[name]) for name in INDEX_FIELDS if name in fields)), "")
    return CallPiece(position, id_, name, text, returned)


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
        has_id = piece.id != "" and piece.id == self.id
        if piece.id and self.id and not has_id:  # some endpoints send a new id with each piece
            return is_same_name and not self._is_complete and piece.arguments[:1] not in ("", "{")
        if has_id and piece.position not in ("", self.position):  # an id of all calls, or a repeated call
            return is_same_name and self.arguments in ("", piece.arguments)
        return not self._is_complete or (is_same_name and (has_id or not piece.arguments))

    def add(self, piece: CallPiece) -> None:
        self.id = self.id or piece.id
        self.returned |= piece.returned
        if piece.name != self.name:
            self.name += piece.name
        arguments = piece.arguments
        is_whole = is_object(arguments)
        if self._is_complete:  # some endpoints begin or end with {}, or repeat the whole arguments
            is_replaced = self.arguments.strip() == "{}" or (is_whole and arguments.strip() != "{}")
            if not (arguments and is_replaced):
                return
        is_longer = len(arguments) >= self._arguments.length
        if self._is_complete or (is_longer and arguments.startswith(self.arguments)):
            self._arguments = GrowingText()
        self._arguments.add(arguments)
        if arguments.strip():
            self._is_complete = arguments.rstrip().endswith("}") and is_object(self.arguments)


class ToolCallReader:
    """Assembles the calls of one answer."""

    def __init__(self, offered: Collection[str] = ()) -> None:
        """`offered`: Names of the offered tools."""
        self._calls: list[_Call] = []
        self._offered = offered

    def __len__(self) -> int:
        return sum(not call.is_vendors for call in self._calls)

    def add(self, fields: Mapping[str, Any], *, is_whole: bool = False) -> int:
        """Add a piece of a call, and return the length of its name and arguments.

        Args:
            fields: Index, id, name and arguments, of which most may be missing.
            is_whole: The piece is a whole call, which may already be known.
        """
        piece = read_call(fields)
        is_known = is_whole and any(
            (call.name, call.arguments) == (piece.name, piece.arguments) for call in self._calls
        )
        if is_known or not any(piece[1:]):
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
        for call in newest_first:
            if piece.id and call.id == piece.id:
                return call
        for call in newest_first:
            if not piece.position or call.position in (piece.position, ""):
                return call
        # Some endpoints count the pieces. One without a name continues a call.
        return newest_first[0] if newest_first and not piece.name else None

    def finish(self, *, is_cut: bool = False) -> tuple[ToolCall, ...]:
        """Return the calls in the order of their first pieces. `is_cut`: the last one may be incomplete."""
        calls = [call for call in self._calls if not call.is_vendors and (call.name or call.arguments.strip())]
        finished = list[ToolCall]()
        for call in calls:
            arguments = make_storable(_plain_arguments(call.arguments, is_cut=is_cut and call is calls[-1]))
            for name, values in split_call(call.name, arguments, self._offered)[: MAX_TOOL_CALLS - len(finished)]:
                id_ = make_storable(call.id)
                is_free = id_ and all(other.id != id_ for other in finished)
                id_ = id_ if is_free else f"call_{len(finished)}"
                finished.append(ToolCall(id_, name, values, call.returned))
        return tuple(finished)


def split_call(name: str, arguments: str, offered: Collection[str]) -> list[tuple[str, str]]:
    """Return name and arguments of a call, or of those in OpenAI's `multi_tool_use.parallel`."""
    plain = plain_name(name, offered)
    objects = [] if plain in offered else objects_in(arguments)
    uses = [use for item in objects for use in objects_in(item.get("tool_uses"))]
    calls = [(plain_name(use.name, offered), use.arguments) for use in map(read_call, uses) if use.name]
    return calls or [(plain, arguments)]


def plain_name(name: str, offered: Collection[str]) -> str:
    """Return the offered name that a model means by another spelling, such as `functions.Find:0`, or else the name."""
    plain = re.sub(r":\d+$", "", make_storable(name).partition("<|")[0]).strip("\"'`() \n")
    spellings = {_letters(plain), _letters(re.split(r"[.:/]", plain)[-1])}
    meant = [tool for tool in offered if _letters(tool) in spellings]
    return meant[0] if len(meant) == 1 and plain not in offered else plain


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


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
