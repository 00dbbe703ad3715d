"""What an answer has had called on its way, as it is kept: enough to go on from there in any process.

Each is a mapping: `id`, `name` and `arguments` (JSON) of the call; `status`, what people read; `result`, None as long
as there is none, and `is_error`; the `round` in which the model asked for it, and the length of the text `at` that
time; `has_begun`; `approval` of the person, where they are asked, and then what the arguments say in `details`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from pydantic_core import from_json

from opportune.llm.answers.models import Answer
from opportune.llm.providers.provider import Message, ToolCall
from opportune.llm.tools import ToolRun
from opportune.llm.tools.retrieval import RETRIEVAL_ROUND
from opportune.server.logging import escape_control_chars
from opportune.text import made_storable

Run = dict[str, Any]

WAITING, ALLOWED, ALWAYS, REFUSED = "waiting", "allowed", "always", "refused"
"""What a person has said of a call. ALWAYS: of others of the same tool in this answer, too."""

UNKNOWN = "Whether this was done is not known: the server stopped meanwhile. Look before you have it done again."


def noted(runs: Sequence[Run], run: ToolRun, at: int) -> list[Run]:
    """The calls of an answer with one more, or with news of one that has no result yet."""
    place = next((place for place, each in enumerate(runs) if _is_open(each, run.call)), len(runs))
    before: Run = runs[place] if place < len(runs) else {"round": run.round, "at": at, "approval": ""}
    shown = {
        **before,
        "id": run.call.id,
        "name": run.call.name,
        "status": run.status,
        "arguments": made_storable(run.call.arguments),
        "result": made_storable(run.result.text) if run.result else None,
        "is_error": bool(run.result and run.result.is_error),
        "has_begun": run.has_begun,
    }
    if run.waits:
        shown |= {"approval": WAITING, "details": [*_details(from_json(run.call.arguments or "{}"))]}
    elif shown["approval"] == WAITING:  # for too long
        shown["approval"] = REFUSED
    return [*runs[:place], shown, *runs[place + 1 :]]


def approval_of(runs: Sequence[Run], call: ToolCall) -> bool | None:
    """What the person has said of a call; None of one that they have not been asked about."""
    found = next((each for each in runs if _is_open(each, call)), None)
    if found and found["approval"]:
        return found["approval"] in (ALLOWED, ALWAYS)
    return any(each["name"] == call.name and each.get("approval") == ALWAYS for each in runs) or None


def decided(runs: Sequence[Run], place: int, approval: str) -> list[Run]:
    """The calls of an answer when the person has said what may become of one that waits."""

    def is_meant(number: int, run: Run) -> bool:
        return number == place or (approval == ALWAYS and is_waiting(run) and run["name"] == runs[place]["name"])

    return [{**run, "approval": approval} if is_meant(number, run) else run for number, run in enumerate(runs)]


def is_waiting(run: Run) -> bool:
    return run.get("approval") == WAITING and run["result"] is None


def settled(runs: Sequence[Run], changing: Collection[str]) -> list[Run]:
    """The calls of an answer that another process began: what it had begun to change is not begun again."""

    def is_unknown(run: Run) -> bool:
        return bool(run["result"] is None and run.get("has_begun") and run["name"] in changing)

    return [{**run, "result": UNKNOWN, "is_error": True} if is_unknown(run) else run for run in runs]


def messages_of(answer: Answer, text: str, runs: Sequence[Run]) -> list[Message]:
    """The prompt of an answer, what was said and called since, and what was said after the last call."""
    messages, said = answer.messages, 0
    for (_, at), together in groupby(filter(_is_whole, runs), key=lambda run: (run["round"], run["at"])):
        called = [*together]
        calls = tuple(ToolCall(run["id"], run["name"], run["arguments"]) for run in called)
        messages.append(Message("assistant", text[said:at], tool_calls=calls))
        messages += [
            Message("tool", run["result"], tool_call_id=run["id"]) for run in called if run["result"] is not None
        ]
        said = at
    return [*messages, Message("assistant", rest)] if (rest := text[said:]) else messages


def passages_of(runs: Sequence[Run]) -> list[str]:
    """What was found before the model was asked, as it reads it."""
    return [run["result"] for run in runs if run.get("round") == RETRIEVAL_ROUND and run["result"]]


def said_since(runs: Sequence[Run], text: str) -> str:
    """The text of an answer that came after its last call."""
    return text[max((run["at"] for run in filter(_is_whole, runs)), default=0) :]


def _is_whole(run: Run) -> bool:
    return bool(run.get("round", RETRIEVAL_ROUND) != RETRIEVAL_ROUND)  # older ones only show what there was


def _is_open(run: Run, call: ToolCall) -> bool:
    return bool(run["id"] == call.id and run["result"] is None)


def _details(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Arguments as people read them, each by its name: those inside of others, too."""
    if isinstance(value, Mapping) and (value or not name):
        for key, each in value.items():
            yield from _details(each, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value:
        for number, each in enumerate(value, 1):
            yield from _details(each, f"{name} {number}")
    else:
        words = {None: "nothing", True: "yes", False: "no"}
        said = words[value] if value is None or isinstance(value, bool) else str(value)
        if isinstance(value, Mapping | list):  # of which there is none: that may stand for all
            said = "none"
        yield _seen(name.replace("_", " ")), _seen(said)


def _seen(text: str) -> str:
    """A text in which nothing is hidden, and nothing changes in what order it is read."""
    return "\n".join(map(escape_control_chars, text.split("\n")))
