"""A running call of a model, which the guard can stop."""

import asyncio
from datetime import date

from opportune.contrib.llm.call_guard import Payer, SpendingRefused
from opportune.contrib.llm.completion.usage import CallMeter
from opportune.contrib.llm.providers.provider import Chunks, LlmError

MAX_LOCAL_ANSWER_TOKENS = 1_024
"""Reserved tokens for an answer of a model without settings."""


class RunningCall:
    """A call with its reservation. It can be stopped."""

    def __init__(self, meter: CallMeter, payer: Payer, day: date) -> None:
        self.meter = meter
        self.model = meter.model
        self.payer = payer
        self.day = day
        self.reservation_id: int | None = None
        self.allowed_tokens: int | None = None
        """Reserved tokens of the answer; None without limits."""
        self._stop_error: SpendingRefused | None = None
        self._chunk_timeout: asyncio.Timeout | None = None

    @property
    def max_answer_tokens(self) -> int:
        """Maximum number of tokens of an answer."""
        return self.model.max_answer_tokens if self.model else MAX_LOCAL_ANSWER_TOKENS

    @property
    def needs_reservation(self) -> bool:
        """True if a running answer has used up its reservation."""
        if self.allowed_tokens is None or self.meter.done is not None:
            return False
        return self.meter.answer_tokens > self.allowed_tokens

    def stop(self, refusal: SpendingRefused) -> None:
        """Stop the answer with this error, also while waiting for a chunk."""
        self._stop_error = refusal
        if self._chunk_timeout and not self._chunk_timeout.expired():
            self._chunk_timeout.reschedule(asyncio.get_running_loop().time())

    async def chunks(self, answer: Chunks) -> Chunks:
        """Yield the chunks of the answer.

        Raises:
            LlmError: The call failed, or was stopped by `stop`.
        """
        while True:
            if self._stop_error:
                raise self._stop_error
            try:
                async with asyncio.timeout(None) as self._chunk_timeout:
                    chunk = await anext(answer, None)
            except TimeoutError:
                raise (self._stop_error or LlmError("timeout", "The model took too long to answer.")) from None
            finally:
                self._chunk_timeout = None
            if chunk is None:
                return
            yield chunk
