"""Conversations with tools: the model requests calls and receives their results until it has answered."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import chain, count, takewhile

from opportune.accounts.models import User
from opportune.contrib.llm.language_model import LanguageModel
from opportune.contrib.llm.providers.provider import Chunk, Done, Message, Reasoning, ToolCall
from opportune.contrib.tools.source import CITE_SOURCES, Cited, number_sources
from opportune.contrib.tools.toolbox import Toolbox, ToolResult

MAX_ROUNDS = 8
"""Maximum number of rounds of tool calls per answer. After these, the model must answer without tools."""
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
    """

    call: ToolCall
    status: str
    result: ToolResult | None = None
    round: int = 0
    has_begun: bool = True
    waits: bool = False


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
        toolbox: Tools that the model may call.
        user: User whose permissions the tools have, or None.
        approve: Awaited for each changing call of a round before any of them runs. If it returns None for one, the
            conversation ends with a `Done` with the calls. To continue, call `converse` again with all messages,
            ending with the one that requests the calls. By default, changing calls are refused.
        sources: List to which sources of results are appended. The model cites them by their number in it.
        temperature: 0 for the most likely answer, up to 2.

    Raises:
        LlmError: As `LanguageModel.chunks`.
    """
    turns, cited = [*messages], [] if sources is None else sources
    rounds, calls = _unfinished_calls(turns)
    results_length = sum(len(turn.content) for turn in _turns_since_question(turns) if turn.role == "tool")
    tokens = Done(0, 0)
    while True:
        if not calls:
            text, done = "", Done()
            offered_tools = toolbox.schemas if rounds < MAX_ROUNDS else ()
            async with aclosing(llm.chunks(turns, offered_tools, temperature=temperature)) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, Done):
                        done = chunk
                    else:
                        text += "" if isinstance(chunk, Reasoning) else chunk
                        yield chunk
            tokens = _add_tokens(done, tokens)
            if not done.tool_calls or rounds == MAX_ROUNDS:
                yield replace(tokens, tool_calls=())
                return
            calls, rounds = _with_unique_ids(done.tool_calls), rounds + 1
            turns.append(Message("assistant", text, tool_calls=calls))
        runs = [ToolRun(call, _describe_call(toolbox, call), round=rounds - 1) for call in calls]
        allowed = await _ask_approvals(toolbox, calls, approve)
        if None in allowed.values():
            for run in runs:
                yield replace(run, has_begun=False, waits=allowed[run.call.id] is None)
            yield replace(tokens, tool_calls=tuple(run.call for run in runs))
            return
        for number, run in enumerate(runs):
            yield run
            has_room = number < MAX_CALLS_PER_ROUND and results_length < MAX_RESULTS_LENGTH
            result = await _run_call(toolbox, run.call, user, allowed[run.call.id]) if has_room else TOO_MANY_CALLS
            if result.sources:
                result = replace(result, text=f"{CITE_SOURCES}\n\n{number_sources(result.sources, cited)}")
            results_length += len(result.text)
            turns.append(Message("tool", result.text, tool_call_id=run.call.id))
            yield replace(run, result=result)
        calls = ()


def _turns_since_question(turns: Sequence[Message]) -> list[Message]:
    turns_since = list(takewhile(lambda turn: turn.role != "user", reversed(turns)))
    return turns_since[::-1]


def _unfinished_calls(turns: Sequence[Message]) -> tuple[int, tuple[ToolCall, ...]]:
    """Return the number of rounds since the question, and the calls of the last round without a result."""
    turns_since = _turns_since_question(turns)
    rounds = [number for number, turn in enumerate(turns_since) if turn.tool_calls]
    if not rounds:
        return 0, ()
    call_ids = {turn.tool_call_id for turn in turns_since[rounds[-1] + 1 :]}
    return len(rounds), tuple(call for call in turns_since[rounds[-1]].tool_calls if call.id not in call_ids)


def _with_unique_ids(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """Make the ids unique: with equal ids, the approval of one call would apply to the other."""
    calls_by_id = dict[str, ToolCall]()
    for call in calls:
        candidates = chain([call.id], (f"{call.id}_{number}" for number in count(2)))
        id_ = next(candidate for candidate in candidates if candidate not in calls_by_id)
        calls_by_id[id_] = replace(call, id=id_)
    return tuple(calls_by_id.values())


def _add_tokens(done: Done, previous: Done) -> Done:
    prompt_tokens = (done.prompt_tokens or 0) + (previous.prompt_tokens or 0)
    completion_tokens = (done.completion_tokens or 0) + (previous.completion_tokens or 0)
    reasoning_tokens = (done.reasoning_tokens or 0) + (previous.reasoning_tokens or 0)
    return replace(
        done,
        prompt_tokens=prompt_tokens or None,
        completion_tokens=completion_tokens or None,
        reasoning_tokens=reasoning_tokens or None,
    )


def _describe_call(toolbox: Toolbox, call: ToolCall) -> str:
    tool = toolbox.tools.get(call.name)
    return tool.status if tool else call.name


async def _ask_approvals(toolbox: Toolbox, calls: Sequence[ToolCall], approve: Approve) -> dict[str, bool | None]:
    """Ask the user to approve each call, except calls that need no approval, are malformed, or exceed the limit."""
    return {
        call.id: number >= MAX_CALLS_PER_ROUND
        or call.name not in toolbox.tools
        or not toolbox.asks(call.name)
        or bool(toolbox.refusal(call))
        or await approve(call)
        for number, call in enumerate(calls)
    }


async def _run_call(toolbox: Toolbox, call: ToolCall, user: User | None, is_allowed: bool | None) -> ToolResult:
    return await toolbox.call(call, user) if is_allowed else NOT_ALLOWED
