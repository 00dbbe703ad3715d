"""Stored tool calls of an answer, so that any process can continue it.

Each run is a mapping with these keys:

- `id`, `name` and `arguments` (JSON) of the call
- `status`: description for users
- `result` (None until the call has ended) and `is_error`
- `round`: number of the model's turn, which may contain several calls
- `at`: length of the answer's text before the call
- `has_begun`: False while the call waits for an approval
- `is_repeated`: True if a process has stopped during the call
- `result_from`: `job` or `user` for results that come later; missing for others
- `form`: JSON Schema of the reply of the user
- `progress` of a job: `done`, `total` and `note`
- `approval` and `details`: decision of the user, and readable arguments, for calls that need an approval
- `picture`: `id` and `description` of an attachment that the call has made
- `returned` and `returned_after`: fields that the endpoint needs back with the call, and with the text after it
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from pydantic_core import from_json

from opportune.contrib.answers.models import Answer
from opportune.contrib.llm.providers.provider import Message, ToolCall
from opportune.contrib.tools import ToolResult, ToolRun
from opportune.contrib.tools.retrieval import RETRIEVAL_ROUND
from opportune.schemas.text import make_storable
from opportune.server.log_formats import escape_control_chars

Run = dict[str, Any]

PICTURE_TOOL = "make_image"

# Approvals
WAITING = "waiting"
ALLOWED = "allowed"
ALWAYS = "always"
"""Also allows later calls of the same tool in this answer."""
REFUSED = "refused"

STOPPED_BY_USER = "The user has stopped this call."
RESULT_UNKNOWN = "The server stopped during this call, so its result is unknown. Check it before you repeat the call."


def update_run(runs: Sequence[Run], run: ToolRun, at: int) -> list[Run]:
    """Return the runs with this run added, or updated if it is already stored."""
    index = _find_open_run(runs, run.call)
    if index is None:
        return [*runs, _update_values({"round": run.round, "at": at, "approval": ""}, run)]
    return change_run(runs, index, _update_values(runs[index], run))


def change_run(runs: Sequence[Run], index: int, values: Run) -> list[Run]:
    """Return the runs with these values in one. A new list, because changes inside are not detected."""
    return [*runs[:index], runs[index] | values, *runs[index + 1 :]]


def _find_open_run(runs: Sequence[Run], call: ToolCall) -> int | None:
    """Return the index of a stored call without a result. Endpoints may use the id of an ended call again."""
    return next((index for index, run in enumerate(runs) if run["id"] == call.id and run["result"] is None), None)


def _update_values(stored: Run, run: ToolRun) -> Run:
    updated = stored | {
        "id": run.call.id,
        "name": run.call.name,
        "status": run.status,
        "arguments": make_storable(run.call.arguments),
        "result": make_storable(run.result.text) if run.result else None,
        "is_error": bool(run.result and run.result.is_error),
        "has_begun": run.has_begun,
        **_picture_of(run.call.name, run.result),
    }
    if run.call.returned:
        updated["returned"] = run.call.returned
    if run.result_from:
        updated |= {"result_from": run.result_from, "form": run.form}
    if run.waits:
        updated |= {"approval": WAITING, "details": [*readable_arguments(run.call.arguments)]}
    elif updated["approval"] == WAITING:  # not approved in time
        updated["approval"] = REFUSED
    return updated


def _picture_of(name: str, result: ToolResult | None) -> dict[str, Any]:
    """Return the picture that a call has made, for its stored run."""
    if name != PICTURE_TOOL or result is None or result.is_error or not isinstance(result.data, dict):
        return {}
    picture = result.data.get("picture")
    return {"picture": picture} if isinstance(picture, dict) and "id" in picture else {}


def find_approval(runs: Sequence[Run], call: ToolCall) -> bool | None:
    """Return True if the user has allowed a call, False if refused, None if undecided."""
    index = _find_open_run(runs, call)
    if index is not None and runs[index]["approval"]:
        return runs[index]["approval"] in (ALLOWED, ALWAYS)
    return True if any(run["name"] == call.name and run.get("approval") == ALWAYS for run in runs) else None


def set_approval(runs: Sequence[Run], index: int, approval: str) -> list[Run]:
    """Return the runs with the user's decision about one. ALWAYS also applies to other waiting calls of the tool."""
    changed = change_run(runs, index, {"approval": approval})
    if approval != ALWAYS:
        return changed
    name = runs[index]["name"]
    return [run | {"approval": ALWAYS} if is_waiting(run) and run["name"] == name else run for run in changed]


def set_result(runs: Sequence[Run], index: int, result: str, *, is_error: bool = False) -> list[Run]:
    """Return the runs with a result that the answer has waited for."""
    values = {"result": make_storable(result), "is_error": is_error, "has_begun": True}
    if runs[index]["approval"] == WAITING:
        values["approval"] = ALLOWED
    return change_run(runs, index, values)


def stop_jobs(runs: Sequence[Run]) -> list[Run]:
    """Mark jobs without a result as stopped by the user."""
    return [run | {"result": STOPPED_BY_USER, "is_error": True} if is_job(run) else run for run in runs]


def is_waiting(run: Run) -> bool:
    """Return True if a call waits for an approval or a reply of the user."""
    return run.get("approval") == WAITING and run["result"] is None


def is_job(run: Run) -> bool:
    """Return True if a call waits for the result of a job."""
    return run.get("result_from") == "job" and run["result"] is None and not is_waiting(run)


def is_pending(run: Run) -> bool:
    return is_waiting(run) or is_job(run)


def count_steps(runs: Sequence[Run]) -> int:
    """Return the number of rounds of tool calls."""
    return len({run["round"] for run in filter(_is_model_call, runs)})


def job_indexes(runs: Sequence[Run]) -> list[int]:
    """Return the indexes of calls that wait for a job. Jobs start when no call waits for the user any more."""
    if any(map(is_waiting, runs)):
        return []
    return [index for index, run in enumerate(runs) if is_job(run)]


def fail_interrupted_calls(runs: Sequence[Run], changing_tools: Collection[str], text_length: int) -> list[Run]:
    """Return the runs of a process that stopped: begun calls fail if their tool changes data, others are repeated once.

    A call that stops its process would otherwise stop each process that continues the answer. `text_length`: length of
    the stored text, because a crash may lose the text just before a call.
    """
    runs = [run | {"at": min(run.get("at", 0), text_length)} for run in runs]
    return [_after_stop(run, changing_tools) if _was_interrupted(run) else run for run in runs]


def _was_interrupted(run: Run) -> bool:
    return run["result"] is None and bool(run.get("has_begun"))


def _after_stop(run: Run, changing_tools: Collection[str]) -> Run:
    if run["name"] in changing_tools or run.get("is_repeated"):
        return run | {"result": RESULT_UNKNOWN, "is_error": True}
    return run | {"is_repeated": True}


def answer_turns(answer: Answer, origin: str) -> list[Message]:
    """Return the turns of an answer for a later question: its text, and calls that their endpoint needs back.

    `origin` is the endpoint and model of the later question, as `LanguageModel.origin`.
    """
    runs = [*filter(_is_model_call, answer.tool_runs)]
    origins = {run.get("returned", {}).get("origin") for run in runs} - {None}
    needs_calls = origins == {origin} and all(run["result"] is not None for run in runs)
    return turns_of(answer.text, runs if needs_calls else ())


def end_runs(runs: Sequence[Run], returned: Mapping[str, Any]) -> list[Run]:
    """Store the fields that the endpoint needs back with the text after the last call."""
    return change_run(runs, len(runs) - 1, {"returned_after": returned}) if returned and runs else [*runs]


def without_returned(runs: Sequence[Run]) -> list[Run]:
    """Return the runs for clients, without the fields for the endpoint."""
    return [{name: value for name, value in run.items() if not name.startswith("returned")} for run in runs]


def turns_of(text: str, runs: Sequence[Run]) -> list[Message]:
    """Return the text in the pieces between the calls, each followed by its calls and their results."""
    messages: list[Message] = []
    offset = 0
    for (_, at), group in groupby(filter(_is_model_call, runs), key=lambda run: (run["round"], run["at"])):
        calls: list[ToolCall] = []
        results: list[Message] = []
        for run in group:
            calls.append(ToolCall(run["id"], run["name"], run["arguments"], run.get("returned", {})))
            if run["result"] is not None:
                results.append(Message("tool", run["result"], tool_call_id=run["id"]))
        messages += [Message("assistant", text[offset:at], tool_calls=tuple(calls)), *results]
        offset = at
    if text[offset:]:
        returned = runs[-1].get("returned_after", {}) if runs else {}
        messages.append(Message("assistant", text[offset:], returned=returned))
    return messages


def retrieved_passages(runs: Sequence[Run]) -> list[str]:
    """Return the passages that were retrieved for a model without tools."""
    return [run["result"] for run in runs if run.get("round") == RETRIEVAL_ROUND and run["result"]]


def text_after_last_call(runs: Sequence[Run], text: str) -> str:
    """Return the text of an answer after its last tool call."""
    last_call_at = max((run["at"] for run in filter(_is_model_call, runs)), default=0)
    return text[last_call_at:]


def _is_model_call(run: Run) -> bool:
    return bool(run.get("round", RETRIEVAL_ROUND) != RETRIEVAL_ROUND)  # runs stored by old versions have no round


def readable_arguments(arguments: str) -> Iterator[tuple[str, str]]:
    """Yield the label and value of each argument in words, including nested ones.

    An object that is the only argument needs no label: its fields have labels.
    """
    value = from_json(arguments or "{}")
    if isinstance(value, Mapping) and len(value) == 1:
        (only_value,) = value.values()
        if isinstance(only_value, Mapping) and only_value:
            value = only_value
    if value != {}:
        yield from _labelled_values(value, "")


def _labelled_values(value: object, label: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            name = str(key).replace("_", " ").strip()
            yield from _labelled_values(item, f"{label}: {name}" if label else name[:1].upper() + name[1:])
    elif isinstance(value, list) and value:
        for number, item in enumerate(value, 1):
            yield from _labelled_values(item, f"{label} {number}")
    else:
        yield _escape_invisible(label), _escape_invisible(_in_words(value))


def _in_words(value: object) -> str:
    if isinstance(value, Mapping | list):  # an empty one, which is shown because it may mean "all"
        return "none"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _escape_invisible(text: str) -> str:
    """Escape control characters, which could hide text or change its direction."""
    return "\n".join(map(escape_control_chars, text.split("\n")))
