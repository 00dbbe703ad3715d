"""Tool calls of an answer, assembled from pieces that endpoints number and name in many ways."""

import json
import re
from collections.abc import Mapping
from typing import Any

from opportune.contrib.llm.providers.growing_text import GrowingText
from opportune.contrib.llm.providers.loose_json import is_object, json_in, json_objects_in, key_in
from opportune.contrib.llm.providers.provider import ToolCall
from opportune.schemas.text import make_storable

MAX_TOOL_CALLS = 128
"""Maximum number of calls that are read. `converse` runs fewer, and tells the model so."""
NAME_FIELDS = ("name", "tool_name", "function")
ARGUMENT_FIELDS = ("arguments", "parameters", "input", "args")
RETURNED_FIELDS = ("extra_content", "provider_specific_fields", "thought_signature")
"""Fields with signatures, which the endpoint needs back."""


class _Call:
    """A call that may still grow."""

    def __init__(self, index: str, id_: str) -> None:
        self.index, self.id, self.name = index, id_, ""
        self._arguments = GrowingText()
        self._is_complete = False
        self.returned: dict[str, object] = {}

    @property
    def arguments(self) -> str:
        return self._arguments.text + self._arguments.pending

    def is_continued_by(self, index: str, id_: str, name: str, arguments: str) -> bool:
        """Return True for a piece with the same id, or at the same index, that does not begin another call."""
        if not name:
            return True
        is_same_name = name == self.name
        if id_ == self.id != "":  # some endpoints give all calls the same id, others repeat a call at another index
            is_at_index = index in ("", self.index) and not (self._is_complete and not is_same_name)
            return is_at_index or (is_same_name and self.arguments in ("", arguments))
        if id_ and self.id:  # some endpoints send a new id with each piece
            return is_same_name and not self._is_complete and arguments[:1] not in ("", "{")
        return not self._is_complete or (is_same_name and not arguments)

    def add(self, name: str, arguments: str) -> None:
        if name != self.name:
            self.name += name
        if self._is_complete:  # some endpoints begin or end with {}, or repeat the whole arguments
            is_replaced = self.arguments.strip() == "{}" or (is_object(arguments) and arguments.strip() != "{}")
            if not (arguments and is_replaced):
                return
            self._arguments = GrowingText()
        self._arguments.add(arguments)
        if end := arguments.strip()[-1:]:
            self._is_complete = end == "}" and is_object(self.arguments)


class ToolCallReader:
    """Assembles the calls of one answer."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, piece: Mapping[str, Any], *, is_whole: bool = False) -> int:
        """Add a piece of a call, and return the length of its name and arguments.

        Args:
            piece: Index, id, name and arguments, of which most may be missing.
            is_whole: The piece is a whole call, which may already be known.
        """
        name, arguments = name_and_arguments(piece)
        index, id_ = key_in(piece.get("index")), key_in(piece.get("id"))
        returned = {field: value for field in RETURNED_FIELDS if (value := piece.get(field))}
        is_known = is_whole and any((name, arguments) == (call.name, call.arguments) for call in self._calls)
        if is_known or not (name or arguments or id_ or returned):
            return 0
        newest_first = self._calls[::-1]
        call = next((call for call in newest_first if id_ and call.id == id_), None)
        call = call or next((call for call in newest_first if not index or call.index in (index, "")), None)
        if not name and newest_first:  # some endpoints count the pieces
            call = call or newest_first[0]
        if call is None or not call.is_continued_by(index, id_, name, arguments):
            if len(self._calls) == MAX_TOOL_CALLS:
                return 0
            call = _Call(index, id_)
            self._calls.append(call)
        call.id = call.id or id_
        call.add(name, arguments)
        call.returned |= returned
        return len(name) + len(arguments)

    def finish(self) -> tuple[ToolCall, ...]:
        """Return the calls in the order of their first pieces."""
        calls = enumerate(call for call in self._calls if call.name or call.arguments.strip())
        return tuple(
            ToolCall(
                make_storable(call.id) or f"call_{number}",
                plain_name(call.name),
                make_storable(_plain(call.arguments)),
                call.returned,
            )
            for number, call in calls
        )


def name_and_arguments(piece: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name and the arguments in a piece of a call."""
    function = piece["function"] if isinstance(piece.get("function"), dict) else piece
    names = (part.get(field) for part in (function, piece) for field in NAME_FIELDS)
    name = next((name for name in names if isinstance(name, str)), "")
    return name, _to_text(next(filter(None, map(function.get, ARGUMENT_FIELDS)), ""))


def plain_name(name: str) -> str:
    """Return the name of a function without marks of the Harmony format, and as Kimi's models write it."""
    return re.sub(r":\d+$", "", make_storable(name).strip().partition("<|")[0]).removeprefix("functions.")


def _plain(arguments: str) -> str:
    """Return arguments without additions of endpoints: quotes, a code fence, a brace, or the same object again."""
    text = arguments.strip()
    if is_object(text) or text in ("null", "None"):
        return arguments if is_object(text) else ""
    text = str(json_in(text)) if text.startswith('"') else text
    objects = {json.dumps(item, ensure_ascii=False) for item in json_objects_in(text) if item}
    return objects.pop() if len(objects) == 1 else arguments


def _to_text(arguments: object) -> str:
    if isinstance(arguments, list) and all(isinstance(part, str) for part in arguments):
        return "".join(arguments)
    return arguments if isinstance(arguments, str) else json.dumps(arguments)
