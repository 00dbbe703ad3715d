"""Tool calls of an answer, assembled from pieces that endpoints number and name in many ways."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from opportune.contrib.llm.providers.events import json_objects_in
from opportune.contrib.llm.providers.provider import ToolCall

MAX_TOOL_CALLS = 128
"""Maximum number of calls that are read. `converse` runs fewer, and tells the model so."""
ARGUMENT_FIELDS = ("arguments", "parameters", "input", "args")
RETURNED_FIELDS = ("extra_content", "provider_specific_fields", "thought_signature")
"""Fields with signatures, which the endpoint needs back."""


def objects_in(value: object) -> list[dict[str, Any]]:
    """Return the objects in a list, also in one that was sent as an object, or an object without its list."""
    if isinstance(value, dict) and value and all(key.isdecimal() for key in value):  # a list by index
        value = [*value.values()]
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


class _Call:
    """A call that may still grow."""

    def __init__(self, index: str | None, id_: str) -> None:
        self.index, self.id, self.name, self.arguments = index, id_, "", ""
        self._last_piece = ""
        self.returned: dict[str, object] = {}

    @property
    def is_complete(self) -> bool:
        return is_object(self.arguments)

    def add(self, name: str, arguments: str) -> None:
        if name != self.name:
            self.name += name
        if not arguments:
            return
        if self.is_complete:  # some endpoints begin or end with {}, or repeat the whole arguments
            is_whole = is_object(arguments) and arguments.strip() != "{}"
            if is_whole or self.arguments.strip() == "{}":
                self.arguments = arguments
        elif self._last_piece and arguments.startswith(self._last_piece) and is_object(arguments):
            self.arguments = arguments  # some endpoints repeat the arguments from the beginning in each piece
        else:
            self.arguments += arguments
        self._last_piece = arguments


class ToolCallReader:
    """Assembles the calls of one answer."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, piece: Mapping[str, Any]) -> int:
        """Add a piece of a call, and return the length of its name and arguments."""
        function = piece["function"] if isinstance(piece.get("function"), dict) else piece
        names = (function.get("name"), piece.get("name"), piece.get("function"))
        name = next((name for name in names if isinstance(name, str)), "")
        arguments = _to_text(next(filter(None, map(function.get, ARGUMENT_FIELDS)), ""))
        index, id_ = to_key(piece.get("index")), to_key(piece.get("id")) or ""
        returned = {field: value for field in RETURNED_FIELDS if (value := piece.get(field))}
        if not (name or arguments or id_ or returned):
            return 0
        call = next(self._candidates(index, id_, name, arguments), None)
        if call is None:
            if len(self._calls) == MAX_TOOL_CALLS:
                return 0
            call = _Call(index, id_)
            self._calls.append(call)
        call.id = call.id or id_
        call.add(name, arguments)
        call.returned |= returned
        return len(name) + len(arguments)

    def _candidates(self, index: str | None, id_: str, name: str, arguments: str) -> Iterator[_Call]:
        """Yield the calls that a piece continues, the most likely one first."""
        newest_first = self._calls[::-1]
        at_index = next((call for call in newest_first if index is None or call.index in (index, None)), None)
        if id_ and (known := next((call for call in newest_first if call.id == id_), None)):
            # Some endpoints give all calls the same id, others repeat a call at another index.
            is_repeated = not name or (name == known.name and known.arguments in ("", arguments))
            if index is None or known.index == index or is_repeated:
                yield known
        elif at_index and id_ and at_index.id:
            # Some endpoints send a new id with each piece. A call has a name and begins with a brace.
            if not name or (name == at_index.name and not at_index.is_complete and arguments[:1] not in ("", "{")):
                yield at_index
        elif at_index:
            # A complete call is not continued, except by arguments that follow or repeat it.
            starts_call = name and (arguments or name != at_index.name)
            if not (starts_call and at_index.is_complete):
                yield at_index

    def finish(self) -> tuple[ToolCall, ...]:
        """Return the calls in the order of their first pieces."""
        calls = enumerate(call for call in self._calls if call.name or call.arguments.strip())
        return tuple(
            ToolCall(call.id or f"call_{number}", _plain_name(call.name), _plain(call.arguments), call.returned)
            for number, call in calls
        )


def is_object(arguments: str) -> bool:
    """Return True for the JSON of an object."""
    stripped = arguments.strip()
    if not (stripped.startswith("{") and stripped.endswith("}")):
        return False
    try:
        return isinstance(json.loads(stripped), dict)
    except (ValueError, RecursionError):
        return False


def _plain_name(name: str) -> str:
    """Return the name of a function without marks of the Harmony format, and as Kimi's models write it."""
    return re.sub(r":\d+$", "", name.strip().partition("<|")[0]).removeprefix("functions.")


def _plain(arguments: str) -> str:
    """Return arguments without additions of endpoints: quotes, a code fence, a brace, or the same object again."""
    text = arguments.strip()
    if is_object(text) or text in ("null", "None"):
        return arguments if is_object(text) else ""
    with suppress(ValueError):
        text = str(json.loads(text)) if text.startswith('"') else text
    objects = {json.dumps(item, ensure_ascii=False) for item in json_objects_in(text) if item}
    return objects.pop() if len(objects) == 1 else arguments


def _to_text(arguments: object) -> str:
    if isinstance(arguments, list) and all(isinstance(part, str) for part in arguments):
        return "".join(arguments)
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def to_key(value: object) -> str | None:
    """Return an index or id as text; None for another or an empty one."""
    is_key = isinstance(value, str | int | float) and not isinstance(value, bool)
    return (str(value) or None) if is_key and value not in ("null", "None") else None
