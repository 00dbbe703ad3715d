"""Reports tokens, duration and cost of answers to observers, such as telemetry."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import perf_counter

from opportune.contrib.llm.completion.usage import CallMeter
from opportune.contrib.llm.providers.provider import Chunk, Done, LlmError
from opportune.services.observers import LlmCall, observed_llm_call


async def observed_answer(meter: CallMeter, answer: AsyncGenerator[Chunk, None]) -> AsyncGenerator[Chunk, None]:
    """Yield the answer and report it."""
    call, start = LlmCall(meter.name, meter.model.model if meter.model else meter.name, error="stopped"), perf_counter()
    with observed_llm_call(call):
        try:
            async with aclosing(answer) as chunks:
                async for chunk in chunks:
                    if call.first_chunk_seconds is None:
                        call.first_chunk_seconds = perf_counter() - start
                    if isinstance(chunk, Done):
                        call.endpoint_model, call.error = chunk.model or call.endpoint_model, ""
                    yield chunk
        except LlmError as error:
            call.error = error.code
            raise
        finally:
            usage = meter.usage()
            call.prompt_tokens, call.completion_tokens = usage.prompt_tokens, usage.completion_tokens
            call.cost_micro = usage.cost_micro
