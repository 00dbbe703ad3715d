"""A running call of a model and its usage."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import date

from opportune.contrib.llm.call_guard import MAX_REPORTED_TOKENS, GuardedCall, SpendingRefused, TokenUsage
from opportune.contrib.llm.providers.provider import Chunk, Done, ErrorCode, LlmError, Reasoning

FREE_CODES: frozenset[ErrorCode] = frozenset(
    {"refused", "unauthorised", "rate_limited", "busy", "rejected", "unavailable", "not_configured"}
)
"""Errors that cost nothing if they occur before the first chunk."""
MAX_LOCAL_ANSWER_TOKENS = 1_024
"""Reserved tokens for an answer of a model without settings."""


class RunningCall:
    """Estimates the usage of an answer from its bytes, until the endpoint reports token counts."""

    def __init__(self, call: GuardedCall, day: date) -> None:
        self.call = call
        self.day = day
        self.reservation_id: int | None = None
        self.allowed_tokens: int | None = None
        """Reserved tokens of the answer; None without limits."""
        self._bytes = 0
        self._done: Done | None = None
        self._is_free = False
        self._stop_error: SpendingRefused | None = None
        self._chunk_timeout: asyncio.Timeout | None = None

    @property
    def max_answer_tokens(self) -> int:
        """Maximum number of tokens of an answer."""
        return self.call.model.max_answer_tokens if self.call.model else MAX_LOCAL_ANSWER_TOKENS

    @property
    def completion_tokens(self) -> int:
        """Estimated tokens of the answer so far."""
        return -(-self._bytes // 4)

    @property
    def needs_reservation(self) -> bool:
        """True if a running answer has used up its reservation."""
        return self.allowed_tokens is not None and self._done is None and self.completion_tokens > self.allowed_tokens

    def stop(self, refusal: SpendingRefused) -> None:
        """Stop the answer with this error, also while waiting for a chunk."""
        self._stop_error = refusal
        if self._chunk_timeout and not self._chunk_timeout.expired():
            self._chunk_timeout.reschedule(asyncio.get_running_loop().time())

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of the answer.

        Raises:
            LlmError: The call failed, or was stopped by `stop`.
        """
        chunks = self.call.chunks
        while True:
            if self._stop_error:
                raise self._stop_error
            try:
                async with asyncio.timeout(None) as self._chunk_timeout:
                    chunk = await anext(chunks, None)
            except TimeoutError:
                raise (self._stop_error or LlmError("timeout", "The model took too long to answer.")) from None
            finally:
                self._chunk_timeout = None
            if chunk is None:
                return
            self._count_chunk(chunk)
            yield chunk

    def _count_chunk(self, chunk: Chunk) -> None:
        if isinstance(chunk, Done):
            self._done = chunk
            chunk = "".join(call.name + call.arguments for call in chunk.tool_calls)
        elif isinstance(chunk, Reasoning):
            chunk = chunk.text
        self._bytes += len(chunk.encode(errors="replace"))

    def record_error(self, error: BaseException) -> None:
        """Record the error that ended the call, with the token counts reported before it."""
        if isinstance(error, LlmError) and error.done:
            self._done = error.done
        self._is_free = isinstance(error, LlmError) and error.code in FREE_CODES and not self._bytes

    def record_refusal(self) -> None:
        """Record that the call was not sent."""
        self._is_free = True

    def usage(self) -> TokenUsage:
        """Return the final token usage, also of an answer that was stopped early."""
        if self._is_free:
            return TokenUsage()
        done = self._done or Done()
        prompt, completion = _valid_count(done.prompt_tokens), _valid_count(done.completion_tokens)
        estimated = 0
        if prompt is None:
            estimated += (prompt := self.call.prompt_tokens)
        if completion is None:
            estimated += (completion := self.completion_tokens)
        model = self.call.model
        cost = model.cost_micro(prompt, completion, _valid_count(done.cached_tokens) or 0) if model else 0
        return TokenUsage(1, prompt, completion, estimated, cost)


def _valid_count(tokens: int | None) -> int | None:
    """Return a reported count; None for zero or less, so that no endpoint can claim to be free."""
    return min(tokens, MAX_REPORTED_TOKENS) if tokens and tokens > 0 else None
