"""Tool calls that arrive in pieces, with ids and indexes or without."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from itertools import count
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
CUT_ARGUMENTS = "{"
"""Arguments that are no JSON, for a call that the length of the answer cut. The tool does not run."""
SIGNATURE_FIELDS = {"extra_content", "provider_specific_fields", "thought_signature", "thoughtSignature"}


class CallPiece(NamedTuple):
    """A piece of a call, at an index of the endpoint. Most of its parts may be empty."""

    position: str
    id: str
    name: str
    arguments: str
    signatures: Mapping[str, object]


def read_call(fields: Mapping[str, Any]) -> CallPiece:
    """Read a piece of a call. Endpoints put its name and arguments into objects and fields with various names."""
    function = next((part for part in map(fields.get, CALL_FIELDS) if isinstance(part, dict)), fields)
    arguments = _first_value(lambda value: value, ARGUMENT_FIELDS, function, fields)
    if isinstance(arguments, list) and all(isinstance(part, str) for part in arguments):
        arguments = "".join(arguments)
    return CallPiece(
        position=_first_value(key_in, INDEX_FIELDS, fields),
        id=_first_value(key_in, ID_FIELDS, fields, function),
        name=_first_value(_only_text, NAME_FIELDS, function, fields),
        arguments=arguments if isinstance(arguments, str) else json.dumps(arguments),
        signatures={field: fields[field] for field in SIGNATURE_FIELDS & fields.keys() if fields[field]},
    )


def _first_value(read: Callable[[Any], Any], names: Collection[str], *parts: Mapping[str, Any]) -> Any:
    """Return the first value that is not empty. The order of the names counts before that of the parts."""
    return next(filter(None, (read(part.get(name)) for name in names for part in parts)), "")


def _only_text(value: object) -> str:
    return value if isinstance(value, str) else ""


class _Call:
    """A call that may still grow."""

    def __init__(self, piece: CallPiece, *, is_vendors: bool) -> None:
        self.position = piece.position
        self.id = piece.id
        self.name = ""
        self.is_vendors = is_vendors
        self._arguments = GrowingText()
        self._is_complete = False
        self.signatures: dict[str, object] = {}

    @property
    def arguments(self) -> str:
        return self._arguments.text + self._arguments.pending

    def is_continued_by(self, piece: CallPiece) -> bool:
        """Return True for a piece with the same id, or at the same index, that does not begin another call."""
        if not piece.name:
            return True
        has_same_id = piece.id != "" and piece.id == self.id
        if piece.id and self.id and not has_same_id:
            return self._has_id_per_piece(piece)
        if has_same_id and piece.position not in ("", self.position):
            return self._is_repeated_by(piece)
        repeats_name = piece.name == self.name and (has_same_id or not piece.arguments)
        return repeats_name or not self._is_complete

    def _has_id_per_piece(self, piece: CallPiece) -> bool:
        """Some endpoints send a new id and the name with each piece. Another call begins with its arguments."""
        begins = piece.arguments[:1] in ("", "{")
        return piece.name == self.name and not begins and not self._is_complete

    def _is_repeated_by(self, piece: CallPiece) -> bool:
        """Some endpoints repeat a call at another index. Others send the same id for all calls."""
        return piece.name == self.name and self.arguments in ("", piece.arguments)

    def add(self, piece: CallPiece) -> None:
        self.id = self.id or piece.id
        self.signatures |= piece.signatures
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
        known = [(call.name, call.arguments) for call in self._calls] if is_whole else []
        if (piece.name, piece.arguments) in known or not any(piece[1:]):
            return 0
        call = self._find(piece)
        if call is None or not call.is_continued_by(piece):
            if len(self._calls) == MAX_TOOL_CALLS:
                return 0
            is_vendors = VENDOR_TYPE.match(str(fields.get("type"))) is not None
            call = _Call(piece, is_vendors=is_vendors)
            self._calls.append(call)
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
        ids = [make_storable(call.id) for call in calls]
        free_ids = (id_ for number in count() if (id_ := f"call_{number}") not in ids)
        finished = dict[str, ToolCall]()
        for id_, call in zip(ids, calls, strict=True):
            arguments = make_storable(_plain_arguments(call.arguments, is_cut=is_cut and call is calls[-1]))
            for name, values in split_call(call.name, arguments, self._offered)[: MAX_TOOL_CALLS - len(finished)]:
                unique_id = id_ if id_ and id_ not in finished else next(free_ids)
                finished[unique_id] = ToolCall(unique_id, name, values, call.signatures)
        return tuple(finished.values())


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
        return CUT_ARGUMENTS if is_cut else ""
    if is_object(text):
        return text
    objects = {json.dumps(item, ensure_ascii=False) for item in json_objects_in(text, may_lack_end=not is_cut) if item}
    return objects.pop() if len(objects) == 1 else arguments
