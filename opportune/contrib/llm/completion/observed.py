"""Reports tokens, duration and cost of answers to observers, such as telemetry."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from time import perf_counter

from opportune.config.llm_models import LlmModel
from opportune.contrib.llm.providers.provider import Chunk, Done, LlmError, Message, Reasoning, estimate_tokens
from opportune.services.observers import LlmCall, observed_llm_call


async def observed_answer(
    name: str, model: LlmModel | None, messages: Sequence[Message], answer: AsyncGenerator[Chunk, None]
) -> AsyncGenerator[Chunk, None]:
    """Yield the answer and report it. Token counts that the endpoint omits are estimated."""
    call = LlmCall(name, model.model if model else name, error="stopped")
    start, answer_length, cached = perf_counter(), 0, 0
    with observed_llm_call(call):
        try:
            async with aclosing(answer) as chunks:
                async for chunk in chunks:
                    if call.first_chunk_seconds is None:
                        call.first_chunk_seconds = perf_counter() - start
                    if isinstance(chunk, Done):
                        _record_counts(call, chunk)
                        call.endpoint_model, cached = chunk.model or call.endpoint_model, chunk.cached_tokens or 0
                        call.error = ""
                    else:
                        answer_length += len(chunk.text if isinstance(chunk, Reasoning) else chunk)
                    yield chunk
        except LlmError as error:
            call.error = error.code
            if error.done:
                _record_counts(call, error.done)
            raise
        finally:
            _estimate_missing_counts(call, messages, answer_length)
            call.cost_micro = model.cost_micro(call.prompt_tokens, call.completion_tokens, cached) if model else 0


def _record_counts(call: LlmCall, done: Done) -> None:
    call.prompt_tokens, call.completion_tokens = done.prompt_tokens or 0, done.completion_tokens or 0


def _estimate_missing_counts(call: LlmCall, messages: Sequence[Message], answer_length: int) -> None:
    if call.first_chunk_seconds is not None:  # without a chunk, the call is free
        call.prompt_tokens = call.prompt_tokens or sum(map(estimate_tokens, messages))
        call.completion_tokens = call.completion_tokens or -(-answer_length // 4)
