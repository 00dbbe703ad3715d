"""Conversations with tools: the model requests calls and receives their results until it has answered."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal

from opportune.accounts.models import User
from opportune.contrib.llm.language_model import LanguageModel
from opportune.contrib.llm.providers.provider import Chunk, Done, Message, ToolCall
from opportune.contrib.tools.results import CITE_SOURCES, Cited, ToolResult, number_sources
from opportune.contrib.tools.toolbox import Toolbox

MAX_CALLS_PER_ROUND = 16
MAX_RESULTS_LENGTH = 200_000
"""Characters of all results of one answer, because the model reads them again in each round."""
TOO_MANY_CALLS = ToolResult("This call was not run, because there were too many. Answer without it.", is_error=True)
NOT_ALLOWED = ToolResult("The user has not allowed this call.", is_error=True)

Approve = Callable[[ToolCall], Awaitable[bool | None]]
"""Returns True or False if the user has allowed or refused a call, None if undecided."""


@dataclass(frozen=True)
class ToolRun:
    """State of a tool call in an answer, yielded when it starts, ends, or waits for an approval.

    Attributes:
        call: The call.
        status: Description for users.
        result: Result; None until the call has ended.
        round: Number of the model's request, which may contain several calls.
        has_begun: False while any call of the same round waits for an approval.
        waits: True while this call waits for an approval.
        result_from: Origin of a result that the answer waits for: a job, or a form that the user fills in.
        form: JSON Schema of the form.
    """

    call: ToolCall
    status: str
    result: ToolResult | None = None
    round: int = 0
    has_begun: bool = True
    waits: bool = False
    result_from: Literal["", "job", "user"] = ""
    form: dict[str, Any] | None = None


async def refuse_all(_call: ToolCall) -> bool:
    return False


async def converse(
    llm: LanguageModel,
    messages: Sequence[Message],
    toolbox: Toolbox,
    user: User | None,
    *,
    approve: Approve = refuse_all,
    sources: list[Cited] | None = None,
    temperature: float | None = None,
) -> AsyncGenerator[Chunk | ToolRun, None]:
    """Yield text, reasoning and tool calls of an answer, then one `Done` with the total token counts.

    Use it with `contextlib.aclosing`.

    Args:
        llm: The language model.
        messages: The conversation.
        toolbox: Tools that the model may call. Those of `for_answer` may be jobs and forms for the user: the
            conversation then ends with a `Done` with their calls, and continues with messages that have their results.
        user: User whose permissions the tools have, or None.
        approve: Awaited for each changing call of a round before any of them runs. If it returns None for one, the
            conversation ends with a `Done` with the calls. To continue, call `converse` again with all messages,
            ending with the one that requests the calls. By default, changing calls are refused.
        sources: List to which sources of results are appended. The model cites them by their number in it.
        temperature: 0 for the most likely answer, up to 2.

    Raises:
        LlmError: As `LanguageModel.chunks`.
    """
    # Without jobs and forms, whose results come later, unless the caller can wait for them.
    toolbox = toolbox if toolbox.can_wait else toolbox.immediate
    turns = [*messages]
    rounds, calls = _unfinished_calls(turns)
    tokens = Done(0, 0)
    cited = [] if sources is None else sources
    while True:
        if not calls:
            texts: list[str] = []
            done = Done()
            async with aclosing(llm.chunks(turns, toolbox.offered(rounds), temperature=temperature)) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, Done):
                        done = chunk
                        continue
                    if isinstance(chunk, str):
                        texts.append(chunk)
                    yield chunk
            tokens = _add_tokens(done, tokens)
            if not done.tool_calls or rounds >= toolbox.max_steps:
                break
            rounds += 1
            calls = _with_unique_ids(done.tool_calls)
            turns.append(Message("assistant", "".join(texts), tool_calls=calls))
        runs = [_create_run(toolbox, call, rounds - 1) for call in calls]
        async with aclosing(_run_calls(toolbox, runs, turns, user, approve, cited)) as states:
            async for run in states:
                yield run
        _, calls = _unfinished_calls(turns)
        if calls:  # their approvals or results come later
            break
    yield replace(tokens, tool_calls=calls)


async def _run_calls(
    toolbox: Toolbox,
    runs: Sequence[ToolRun],
    turns: list[Message],
    user: User | None,
    approve: Approve,
    cited: list[Cited],
) -> AsyncGenerator[ToolRun, None]:
    """Run calls one after the other, and yield each when it starts and ends. Jobs are only announced.

    If any call waits for an approval, none runs. Results are appended to the turns.
    """
    allowed = await _ask_approvals(toolbox, [run.call for run in runs], approve)
    if None in allowed.values():
        for run in runs:
            yield replace(run, has_begun=False, waits=allowed[run.call.id] is None)
        return
    for number, run in enumerate(runs):
        results_length = sum(len(turn.content) for turn in _turns_since_question(turns) if turn.role == "tool")
        has_room = number < MAX_CALLS_PER_ROUND and results_length < MAX_RESULTS_LENGTH
        if has_room and allowed[run.call.id] and run.result_from == "job":
            yield replace(run, has_begun=False)
            continue
        yield run
        if not has_room:
            result = TOO_MANY_CALLS
        elif allowed[run.call.id]:
            result = await toolbox.call(run.call, user)
        else:
            result = NOT_ALLOWED
        result = number_result(result, cited)
        turns.append(Message("tool", result.text, tool_call_id=run.call.id))
        yield replace(run, result=result)


def _turns_since_question(turns: Sequence[Message]) -> list[Message]:
    last_question = max((number for number, turn in enumerate(turns) if turn.role == "user"), default=-1)
    return [*turns[last_question + 1 :]]


def _unfinished_calls(turns: Sequence[Message]) -> tuple[int, tuple[ToolCall, ...]]:
    """Return the number of rounds since the question, and the calls of the last round without a result."""
    turns_since = _turns_since_question(turns)
    rounds = [number for number, turn in enumerate(turns_since) if turn.tool_calls]
    if not rounds:
        return 0, ()
    last_round = rounds[-1]
    ended_ids = {turn.tool_call_id for turn in turns_since[last_round + 1 :]}
    return len(rounds), tuple(call for call in turns_since[last_round].tool_calls if call.id not in ended_ids)


def _with_unique_ids(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """Make the ids unique: with equal ids, the approval of one call would apply to the other."""
    calls_by_id = dict[str, ToolCall]()
    for call in calls:
        id_, number = call.id, 1
        while id_ in calls_by_id:
            number += 1
            id_ = f"{call.id}_{number}"
        calls_by_id[id_] = replace(call, id=id_)
    return tuple(calls_by_id.values())


def _add_tokens(done: Done, previous: Done) -> Done:
    return replace(
        done,
        prompt_tokens=_sum_of(done.prompt_tokens, previous.prompt_tokens),
        completion_tokens=_sum_of(done.completion_tokens, previous.completion_tokens),
        reasoning_tokens=_sum_of(done.reasoning_tokens, previous.reasoning_tokens),
    )


def _sum_of(*counts: int | None) -> int | None:
    return sum(count or 0 for count in counts) or None


def _create_run(toolbox: Toolbox, call: ToolCall, round_: int) -> ToolRun:
    tool = toolbox.tools.get(call.name)
    run = ToolRun(call, tool.status if tool else call.name, round=round_)
    if toolbox.starts_job(call):
        return replace(run, result_from="job")
    if tool and tool.form:
        return replace(run, result_from="user", form=tool.form.model_json_schema())
    return run


def number_result(result: ToolResult, cited: list[Cited]) -> ToolResult:
    """Return a result whose sources have numbers. New ones are appended to `cited`."""
    if not result.sources:
        return result
    return replace(result, text=f"{CITE_SOURCES}\n\n{number_sources(result.sources, cited)}")


async def _ask_approvals(toolbox: Toolbox, calls: Sequence[ToolCall], approve: Approve) -> dict[str, bool | None]:
    """Ask the user to approve each call, except calls that need no approval, are malformed, or exceed the limit."""
    allowed: dict[str, bool | None] = {}
    for number, call in enumerate(calls):
        is_valid = number < MAX_CALLS_PER_ROUND and call.name in toolbox.tools and not toolbox.refusal(call)
        allowed[call.id] = await approve(call) if is_valid and toolbox.asks(call.name) else True
    return allowed
