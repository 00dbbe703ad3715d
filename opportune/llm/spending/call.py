"""A call of a model while it runs, and what it comes to."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import date

from opportune.llm.providers.provider import Chunk, Done, ErrorCode, LLMError, Reasoning
from opportune.llm.spending.call_guard import MAX_TOLD_TOKENS, GuardedCall, SpendingRefused, TokenUsage

FREE_CODES: frozenset[ErrorCode] = frozenset(
    {"refused", "unauthorised", "rate_limited", "busy", "rejected", "unavailable", "not_configured"}
)
"""Where nothing of an answer has come, these say that nobody has worked for it."""
MAX_LOCAL_ANSWER_TOKENS = 1_024
"""What is set aside for an answer of a model that the settings tell nothing of."""


class RunningCall:
    """Counts the bytes of an answer as they come: an estimate, until the endpoint tells."""

    def __init__(self, call: GuardedCall, day: date) -> None:
        self.call = call
        self.day = day
        self.reservation_id: int | None = None
        self.allowed_tokens: int | None = None
        """Tokens of its answer for which there is room; None where nothing limits them."""
        self._bytes = 0
        self._done: Done | None = None
        self._is_free = False
        self._cut_by: SpendingRefused | None = None
        self._waiting: asyncio.Timeout | None = None

    @property
    def max_answer_tokens(self) -> int:
        """The most that an answer should take."""
        return self.call.model.max_answer_tokens if self.call.model else MAX_LOCAL_ANSWER_TOKENS

    @property
    def completion_tokens(self) -> int:
        """An estimate, as `estimate_tokens` makes it."""
        return -(-self._bytes // 4)

    @property
    def needs_more(self) -> bool:
        """Whether it has grown beyond what was set aside for it, and goes on."""
        return self.allowed_tokens is not None and self._done is None and self.completion_tokens > self.allowed_tokens

    def cut(self, refusal: SpendingRefused) -> None:
        """End it like this, also while its model is silent."""
        self._cut_by = refusal
        if self._waiting and not self._waiting.expired():
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """The answer as it comes.

        Raises:
            LLMError: as the model's; or why it was cut.
        """
        chunks = self.call.chunks
        while True:
            if self._cut_by:
                raise self._cut_by
            try:
                async with asyncio.timeout(None) as self._waiting:
                    chunk = await anext(chunks, None)
            except TimeoutError:
                raise (self._cut_by or LLMError("timeout", "The model took too long to answer.")) from None
            finally:
                self._waiting = None
            if chunk is None:
                return
            self._note(chunk)
            yield chunk

    def _note(self, chunk: Chunk) -> None:
        if isinstance(chunk, Done):
            self._done = chunk
            chunk = "".join(each.name + each.arguments for each in chunk.tool_calls)
        elif isinstance(chunk, Reasoning):
            chunk = chunk.text
        self._bytes += len(chunk.encode(errors="replace"))

    def note_end(self, error: BaseException) -> None:
        """Note the error that ended the call, and the token counts that came before it."""
        if isinstance(error, LLMError) and error.done:
            self._done = error.done
        self._is_free = isinstance(error, LLMError) and error.code in FREE_CODES and not self._bytes

    def note_refusal(self) -> None:
        """Note that it has never begun."""
        self._is_free = True

    def usage(self) -> TokenUsage:
        """What it has come to: of an answer that was stopped, too, what was sent and what had come."""
        if self._is_free:
            return TokenUsage()
        done = self._done or Done()
        prompt, completion = _told(done.prompt_tokens), _told(done.completion_tokens)
        estimated = 0
        if prompt is None:
            estimated += (prompt := self.call.prompt_tokens)
        if completion is None:
            estimated += (completion := self.completion_tokens)
        model = self.call.model
        cost = model.cost_micro(prompt, completion, _told(done.cached_tokens) or 0) if model else 0
        return TokenUsage(1, prompt, completion, estimated, cost)


def _told(tokens: int | None) -> int | None:
    """What an endpoint has told. None or fewer is no number: nobody shall answer for nothing by saying so."""
    return min(tokens, MAX_TOLD_TOKENS) if tokens and tokens > 0 else None
