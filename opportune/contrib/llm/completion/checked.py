"""Checks of answers: plausible token counts, some text, and no calls of tools that were not offered."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from opportune.contrib.llm.completion.usage import CallMeter
from opportune.contrib.llm.providers.provider import EMPTY, Chunk, Done, LlmError, ToolSchema
from opportune.i18n import gettext_lazy as _l
from opportune.schemas.text import make_storable

UNOFFERED_TOOL = _l("The model requested a tool that does not exist. Try again.")


async def checked_answer(
    meter: CallMeter, tools: Sequence[ToolSchema], answer: AsyncGenerator[Chunk, None]
) -> AsyncGenerator[Chunk, None]:
    """Yield the answer, and count it. Implausible token counts become None.

    Raises:
        LlmError: The answer is blank, or calls tools although none were offered.
    """
    has_text = False
    meter.start()
    try:
        async with aclosing(answer) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, Done):
                    done = storable_done(chunk)
                    _require_answer(done, tools, has_text=has_text)
                    yield meter.count(done)
                    continue
                has_text = has_text or (isinstance(chunk, str) and bool(chunk.strip()))
                yield meter.count(chunk)
    except LlmError as error:
        meter.fail(error)
        raise


def _require_answer(done: Done, tools: Sequence[ToolSchema], *, has_text: bool) -> None:
    if done.tool_calls and not tools:
        raise LlmError("malformed", UNOFFERED_TOOL, done=done)
    if not (has_text or done.tool_calls):
        raise LlmError("empty", EMPTY, done=done)


def storable_done(done: Done) -> Done:
    """Remove characters that databases refuse from the names and ids of the endpoint."""
    calls = (replace(call, id=make_storable(call.id), name=make_storable(call.name)) for call in done.tool_calls)
    return replace(done, tool_calls=tuple(calls), model=make_storable(done.model))
