"""Calls of a model: queued, retried, counted and limited, with checked answers."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from itertools import repeat
from time import perf_counter

from opportune.contrib.llm.call_guard import SITE, CallGuard
from opportune.contrib.llm.completion.streams import first_answer
from opportune.contrib.llm.completion.usage import CallMeter, TokenUsage
from opportune.contrib.llm.providers.provider import EMPTY, Chunks, Done, ErrorCode, LlmError, ToolSchema
from opportune.i18n import gettext_lazy as _l
from opportune.schemas.text import make_storable
from opportune.services.observers import LlmCall, observed_llm_call, observers

QUEUE_FULL = _l("The model is busy with other answers. Try again in a moment.")
UNOFFERED_TOOL = _l("The model requested a tool that does not exist. Try again.")
MAX_RETRY_WAIT_SECONDS = 10.0
"""Longest wait before a retry. Longer waits are reported to the user instead."""
RETRIED_CODES: frozenset[ErrorCode] = frozenset({"refused", "unavailable", "rate_limited"})

StartCall = Callable[[], Chunks]
"""Starts one attempt at a call. The first iteration sends the request."""


class ModelCalls:
    """Queue, retries, payer and guard of calls.

    Attributes:
        guard: Counts and limits calls.
    """

    def __init__(self, *, max_parallel: int, queue_timeout: float, retries: int) -> None:
        self.guard: CallGuard | None = None
        self._parallel_slots = asyncio.Semaphore(max_parallel)
        self._queue_timeout = queue_timeout
        self._retries = retries
        self._payer = SITE
        self._usage: TokenUsage | None = None

    async def _run_call(self, meter: CallMeter, start: StartCall) -> Chunks:
        """Yield the answer of a call, limited by the guard, and count its usage."""
        answer = self._with_retries(meter, start)
        if self.guard:
            answer = self.guard.watch(meter, self._payer, answer)
        try:
            async with aclosing(answer) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            if self._usage:
                self._usage.add(meter.usage())

    def _with_retries(self, meter: CallMeter, start: StartCall) -> Chunks:
        async def tries_again(number: int, error: LlmError) -> bool:
            wait_seconds = error.retry_after if error.retry_after is not None else 0.5 * 2**number
            is_temporary = error.code in RETRIED_CODES and wait_seconds <= MAX_RETRY_WAIT_SECONDS
            if number == self._retries or not is_temporary:
                return False
            await asyncio.sleep(wait_seconds)
            return True

        return first_answer(repeat(partial(self._queued, meter, start)), tries_again)

    async def _queued(self, meter: CallMeter, start: StartCall) -> Chunks:
        """Yield the answer, after waiting for one of the parallel slots."""
        try:
            async with asyncio.timeout(self._queue_timeout):
                await self._parallel_slots.acquire()
        except TimeoutError:
            raise LlmError("busy", QUEUE_FULL) from None
        try:
            answer = _observed(meter, start()) if observers else start()
            async with aclosing(answer) as chunks:
                async for chunk in chunks:
                    yield replace(chunk, model=chunk.model or meter.name) if isinstance(chunk, Done) else chunk
        finally:
            self._parallel_slots.release()


async def _observed(meter: CallMeter, answer: Chunks) -> Chunks:
    """Yield the answer, and report its tokens, duration and cost to observers, such as telemetry."""
    call = LlmCall(meter.name, meter.model.model if meter.model else meter.name, error="stopped")
    start = perf_counter()
    with observed_llm_call(call):
        try:
            async with aclosing(answer) as chunks:
                async for chunk in chunks:
                    if call.first_chunk_seconds is None:
                        call.first_chunk_seconds = perf_counter() - start
                    if isinstance(chunk, Done):
                        call.endpoint_model = chunk.model or call.endpoint_model
                        call.error = ""
                    yield chunk
        except LlmError as error:
            call.error = error.code
            raise
        finally:
            usage = meter.usage()
            call.prompt_tokens = usage.prompt_tokens
            call.completion_tokens = usage.completion_tokens
            call.cost_micro = usage.cost_micro


async def metered(meter: CallMeter, answer: Chunks, tools: Sequence[ToolSchema] | None = None) -> Chunks:
    """Yield the answer, and count it. Implausible token counts become None.

    `tools`: those that were offered. None for the result of a model that writes no text, such as a picture.

    Raises:
        LlmError: The answer is blank, or calls tools although none were offered.
    """
    has_text = False
    meter.start()
    try:
        async with aclosing(answer) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, Done):
                    done = _storable(chunk)
                    if tools is not None:
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


def _storable(done: Done) -> Done:
    """Remove characters that databases refuse from the names and ids of the endpoint."""
    calls = (replace(call, id=make_storable(call.id), name=make_storable(call.name)) for call in done.tool_calls)
    return replace(done, tool_calls=tuple(calls), model=make_storable(done.model))


async def run_to_end(chunks: Chunks) -> None:
    async with aclosing(chunks):
        async for _ in chunks:
            pass
