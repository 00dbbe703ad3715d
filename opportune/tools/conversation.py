"""A conversation with tools: the model asks for calls, gets their results, and goes on until it has answered."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from opportune.accounts.models import User
from opportune.llm.language_model import LanguageModel
from opportune.llm.provider import Chunk, Done, Message, ToolCall
from opportune.tools.toolbox import Toolbox, ToolResult

MAX_ROUNDS = 8
"""How often a model may ask for calls within one answer; then it has to answer with what it knows."""
MAX_CALLS_PER_ROUND = 16
MAX_RESULTS_LENGTH = 200_000
"""Characters of all results within one answer, which the model reads again in each round."""
TOO_MUCH = ToolResult("This was not run: it is one call too many. Answer with what there is.", is_error=True)

Approve = Callable[[ToolCall], Awaitable[bool]]


@dataclass(frozen=True)
class ToolRun:
    """A call within an answer: told when it begins, and once more with its result."""

    call: ToolCall
    status: str
    """What people read while it runs."""
    result: ToolResult | None = None


async def nobody_approves(_call: ToolCall) -> bool:
    return False


async def converse(
    llm: LanguageModel,
    messages: Sequence[Message],
    toolbox: Toolbox,
    user: User | None,
    *,
    approve: Approve = nobody_approves,
    temperature: float | None = None,
) -> AsyncGenerator[Chunk | ToolRun, None]:
    """Yield the answer's text, the calls on its way, and one `Done` with the tokens of all of it.

    `approve` is awaited before a tool runs that changes something. Hold it in `contextlib.aclosing`.

    Raises:
        LLMError: as `LanguageModel.chunks`.
    """
    turns = [*messages]
    prompt_tokens = completion_tokens = results_length = 0
    for remaining in reversed(range(MAX_ROUNDS + 1)):
        said, end = "", Done()
        offered = toolbox.schemas if remaining else ()
        async with aclosing(llm.chunks(turns, offered, temperature=temperature)) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, Done):
                    end = chunk
                else:
                    said += chunk
                    yield chunk
        prompt_tokens += end.prompt_tokens or 0
        completion_tokens += end.completion_tokens or 0
        if not end.tool_calls or not remaining:
            counts = (prompt_tokens or None, completion_tokens or None)
            yield replace(end, prompt_tokens=counts[0], completion_tokens=counts[1], tool_calls=())
            return
        turns.append(Message("assistant", said, tool_calls=end.tool_calls))
        for number, call in enumerate(end.tool_calls):
            tool = toolbox.tools.get(call.name)
            run = ToolRun(call, tool.status if tool else call.name)
            yield run
            has_room = number < MAX_CALLS_PER_ROUND and results_length < MAX_RESULTS_LENGTH
            result = await _called(toolbox, call, user, approve) if has_room else TOO_MUCH
            results_length += len(result.text)
            turns.append(Message("tool", result.text, tool_call_id=call.id))
            yield replace(run, result=result)


async def _called(toolbox: Toolbox, call: ToolCall, user: User | None, approve: Approve) -> ToolResult:
    if refusal := toolbox.refusal(call):
        return ToolResult(refusal, is_error=True)
    if toolbox.asks(call.name) and not await approve(call):
        return ToolResult("The person has not allowed this.", is_error=True)
    return await toolbox.call(call, user)
