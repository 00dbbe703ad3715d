"""Stored tool calls of an answer, from which any process can continue.

Each run is a mapping with these keys:

- `id`, `name` and `arguments` (JSON) of the call
- `status`: description for users
- `result` (None until the call has ended) and `is_error`
- `round` of calls and length of the text `at` the time of the call
- `has_begun`
- `approval`: decision of the user, and `details`: readable arguments, for calls that need an approval
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
from opportune.text import make_storable

Run = dict[str, Any]

WAITING, ALLOWED, ALWAYS, REFUSED = "waiting", "allowed", "always", "refused"
"""Approvals. ALWAYS also allows later calls of the same tool in this answer."""

UNKNOWN = "The server stopped during this call, so its result is unknown. Check it before you repeat the call."


def update_run(runs: Sequence[Run], run: ToolRun, at: int) -> list[Run]:
    """Return the runs with a new run, or with the new state of an open one."""
    index = next((index for index, stored in enumerate(runs) if _is_open(stored, run.call)), len(runs))
    before: Run = runs[index] if index < len(runs) else {"round": run.round, "at": at, "approval": ""}
    updated = {
        **before,
        "id": run.call.id,
        "name": run.call.name,
        "status": run.status,
        "arguments": make_storable(run.call.arguments),
        "result": make_storable(run.result.text) if run.result else None,
        "is_error": bool(run.result and run.result.is_error),
        "has_begun": run.has_begun,
    }
    if run.waits:
        updated |= {"approval": WAITING, "details": [*_details(from_json(run.call.arguments or "{}"))]}
    elif updated["approval"] == WAITING:  # the time for an approval has expired
        updated["approval"] = REFUSED
    return [*runs[:index], updated, *runs[index + 1 :]]


def approval_of(runs: Sequence[Run], call: ToolCall) -> bool | None:
    """Return True if the user has allowed a call, False if refused, None if undecided."""
    open_run = next((run for run in runs if _is_open(run, call)), None)
    if open_run and open_run["approval"]:
        return open_run["approval"] in (ALLOWED, ALWAYS)
    return any(run["name"] == call.name and run.get("approval") == ALWAYS for run in runs) or None


def set_approval(runs: Sequence[Run], index: int, approval: str) -> list[Run]:
    """Return the runs with the decision about one; ALWAYS also applies to other waiting calls of the tool."""

    def applies(number: int, run: Run) -> bool:
        return number == index or (approval == ALWAYS and is_waiting(run) and run["name"] == runs[index]["name"])

    return [{**run, "approval": approval} if applies(number, run) else run for number, run in enumerate(runs)]


def is_waiting(run: Run) -> bool:
    return run.get("approval") == WAITING and run["result"] is None


def fail_unknown(runs: Sequence[Run], changing: Collection[str]) -> list[Run]:
    """Mark interrupted calls of changing tools as failed, so that they are not repeated."""

    def is_unknown(run: Run) -> bool:
        return bool(run["result"] is None and run.get("has_begun") and run["name"] in changing)

    return [{**run, "result": UNKNOWN, "is_error": True} if is_unknown(run) else run for run in runs]


def messages_of(answer: Answer, text: str, runs: Sequence[Run]) -> list[Message]:
    """Return the prompt, followed by the text and tool calls of the answer so far."""
    messages, offset = answer.messages, 0
    for (_, at), group in groupby(filter(_is_model_call, runs), key=lambda run: (run["round"], run["at"])):
        group_runs = [*group]
        calls = tuple(ToolCall(run["id"], run["name"], run["arguments"]) for run in group_runs)
        messages.append(Message("assistant", text[offset:at], tool_calls=calls))
        messages += [
            Message("tool", run["result"], tool_call_id=run["id"]) for run in group_runs if run["result"] is not None
        ]
        offset = at
    return [*messages, Message("assistant", text[offset:])] if text[offset:] else messages


def passages_of(runs: Sequence[Run]) -> list[str]:
    """Return the passages that were retrieved before the model was asked."""
    return [run["result"] for run in runs if run.get("round") == RETRIEVAL_ROUND and run["result"]]


def text_after_last_call(runs: Sequence[Run], text: str) -> str:
    """Return the text of an answer after its last tool call."""
    return text[max((run["at"] for run in filter(_is_model_call, runs)), default=0) :]


def _is_model_call(run: Run) -> bool:
    return bool(run.get("round", RETRIEVAL_ROUND) != RETRIEVAL_ROUND)  # runs of old versions have no round


def _is_open(run: Run, call: ToolCall) -> bool:
    return bool(run["id"] == call.id and run["result"] is None)


def _details(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield readable names and values of arguments, including nested ones."""
    if isinstance(value, Mapping) and (value or not name):
        for key, item in value.items():
            yield from _details(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value:
        for number, item in enumerate(value, 1):
            yield from _details(item, f"{name} {number}")
    else:
        labels = {None: "nothing", True: "yes", False: "no"}
        label = labels[value] if value is None or isinstance(value, bool) else str(value)
        if isinstance(value, Mapping | list):  # show empty ones: they may mean "all"
            label = "none"
        yield _visible(name.replace("_", " ")), _visible(label)


def _visible(text: str) -> str:
    """Escape control characters, which could hide text or change its direction."""
    return "\n".join(map(escape_control_chars, text.split("\n")))
