"""A conversation with tools: the model asks for calls, gets their results, and goes on until it has answered."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import count, takewhile

from opportune.accounts.models import User
from opportune.llm.language_model import LanguageModel
from opportune.llm.providers.provider import Chunk, Done, Message, Reasoning, ToolCall
from opportune.llm.tools.source import CITING, Cited, numbered
from opportune.llm.tools.toolbox import Toolbox, ToolResult

MAX_ROUNDS = 8
"""How often a model may ask for calls within one answer; then it has to answer with what it knows."""
MAX_CALLS_PER_ROUND = 16
MAX_RESULTS_LENGTH = 200_000
"""Characters of all results within one answer, which the model reads again in each round."""
TOO_MUCH = ToolResult("This was not run: it is one call too many. Answer with what there is.", is_error=True)
NOT_ALLOWED = ToolResult("The person has not allowed this.", is_error=True)

Approve = Callable[[ToolCall], Awaitable[bool | None]]
"""Says whether the person allows a call; None while they have not said."""


@dataclass(frozen=True)
class ToolRun:
    """A call within an answer: told when it begins, and once more with its result; before both where one waits."""

    call: ToolCall
    status: str
    """What people read while it runs."""
    result: ToolResult | None = None
    round: int = 0
    """Which of the times that the model asked for calls; those of one belong together."""
    has_begun: bool = True
    """False where the person has to allow first this call or another that was asked for with it."""
    waits: bool = False
    """The person has not said yet whether it may run."""


async def nobody_approves(_call: ToolCall) -> bool:
    return False


async def converse(
    llm: LanguageModel,
    messages: Sequence[Message],
    toolbox: Toolbox,
    user: User | None,
    *,
    approve: Approve = nobody_approves,
    sources: list[Cited] | None = None,
    temperature: float | None = None,
) -> AsyncGenerator[Chunk | ToolRun, None]:
    """Yield the answer's text and reasoning, the calls on its way, and one `Done` with the tokens of all of it.

    `approve` is awaited for each call that changes something, before anything runs that was asked for with it. Where it
    says None, nothing of that runs: the conversation ends with a `Done` that has those calls, and goes on when it is
    called again with the turns so far, whose last then is the one that asks. `sources` gets what results say of where
    they are from: the model reads it by its number in there. Hold it in `contextlib.aclosing`.

    Raises:
        LLMError: as `LanguageModel.chunks`.
    """
    turns, known = [*messages], [] if sources is None else sources
    rounds, calls = _unanswered(turns)
    results_length = sum(len(turn.content) for turn in _since_question(turns) if turn.role == "tool")
    tokens = Done(0, 0)
    while True:
        if not calls:
            said, end = "", Done()
            offered = toolbox.schemas if rounds < MAX_ROUNDS else ()
            async with aclosing(llm.chunks(turns, offered, temperature=temperature)) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, Done):
                        end = chunk
                    else:
                        said += "" if isinstance(chunk, Reasoning) else chunk
                        yield chunk
            tokens = _with_tokens(end, tokens)
            if not end.tool_calls or rounds == MAX_ROUNDS:
                yield replace(tokens, tool_calls=())
                return
            calls, rounds = _distinct(end.tool_calls), rounds + 1
            turns.append(Message("assistant", said, tool_calls=calls))
        runs = [ToolRun(call, _status(toolbox, call), round=rounds - 1) for call in calls]
        allowed = await _allowed(toolbox, calls, approve)
        if None in allowed.values():
            for run in runs:
                yield replace(run, has_begun=False, waits=allowed[run.call.id] is None)
            yield replace(tokens, tool_calls=tuple(run.call for run in runs))
            return
        for number, run in enumerate(runs):
            yield run
            has_room = number < MAX_CALLS_PER_ROUND and results_length < MAX_RESULTS_LENGTH
            result = await _called(toolbox, run.call, user, allowed[run.call.id]) if has_room else TOO_MUCH
            if result.sources:
                result = replace(result, text=f"{CITING}\n\n{numbered(result.sources, known)}")
            results_length += len(result.text)
            turns.append(Message("tool", result.text, tool_call_id=run.call.id))
            yield replace(run, result=result)
        calls = ()


def _since_question(turns: Sequence[Message]) -> list[Message]:
    since = list(takewhile(lambda turn: turn.role != "user", reversed(turns)))
    return since[::-1]


def _unanswered(turns: Sequence[Message]) -> tuple[int, tuple[ToolCall, ...]]:
    """How often the model has asked for calls since the question, and those of the last time that have no result."""
    since = _since_question(turns)
    asking = [number for number, turn in enumerate(since) if turn.tool_calls]
    if not asking:
        return 0, ()
    answered = {turn.tool_call_id for turn in since[asking[-1] + 1 :]}
    return len(asking), tuple(call for call in since[asking[-1]].tool_calls if call.id not in answered)


def _distinct(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """Calls each with an id of its own: whoever gives two the same would have a yes to one count for the other."""
    found = dict[str, ToolCall]()
    for call in calls:
        others = (f"{call.id}_{number}" for number in count(2))
        own = call.id if call.id not in found else next(each for each in others if each not in found)
        found[own] = replace(call, id=own)
    return tuple(found.values())


def _with_tokens(end: Done, before: Done) -> Done:
    prompt_tokens = (end.prompt_tokens or 0) + (before.prompt_tokens or 0)
    completion_tokens = (end.completion_tokens or 0) + (before.completion_tokens or 0)
    reasoning_tokens = (end.reasoning_tokens or 0) + (before.reasoning_tokens or 0)
    return replace(
        end,
        prompt_tokens=prompt_tokens or None,
        completion_tokens=completion_tokens or None,
        reasoning_tokens=reasoning_tokens or None,
    )


def _status(toolbox: Toolbox, call: ToolCall) -> str:
    tool = toolbox.tools.get(call.name)
    return tool.status if tool else call.name


async def _allowed(toolbox: Toolbox, calls: Sequence[ToolCall], approve: Approve) -> dict[str, bool | None]:
    """What the person says of each; nobody is asked about what asks nobody, makes no sense, or is too much."""
    return {
        call.id: number >= MAX_CALLS_PER_ROUND
        or call.name not in toolbox.tools
        or not toolbox.asks(call.name)
        or bool(toolbox.refusal(call))
        or await approve(call)
        for number, call in enumerate(calls)
    }


async def _called(toolbox: Toolbox, call: ToolCall, user: User | None, is_allowed: bool | None) -> ToolResult:
    return await toolbox.call(call, user) if is_allowed else NOT_ALLOWED
