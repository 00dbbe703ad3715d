"""A call of a model while it runs, and what it comes to."""

from datetime import date

from opportune.llm.guard import MAX_TOLD_TOKENS, GuardedCall, TokenUsage
from opportune.llm.provider import Chunk, Done, ErrorCode, LLMError

FREE_CODES: frozenset[ErrorCode] = frozenset(
    {"refused", "unauthorised", "rate_limited", "busy", "rejected", "unavailable", "not_configured"}
)
"""Where nothing of an answer has come, these say that nobody has worked for it."""


class RunningCall:
    """Counts the bytes of an answer as they come: an estimate, until the endpoint tells."""

    def __init__(self, call: GuardedCall, day: date) -> None:
        self.call = call
        self.day = day
        self._bytes = 0
        self._done: Done | None = None
        self._is_free = False

    @property
    def completion_tokens(self) -> int:
        """An estimate, as `estimate_tokens` makes it."""
        return -(-self._bytes // 4)

    def note(self, chunk: Chunk) -> None:
        if isinstance(chunk, Done):
            self._done = chunk
            chunk = "".join(each.name + each.arguments for each in chunk.tool_calls)
        self._bytes += len(chunk.encode(errors="replace"))

    def note_end(self, error: BaseException) -> None:
        """Note what has cut it short."""
        self._is_free = isinstance(error, LLMError) and error.code in FREE_CODES and not self._bytes

    def usage(self) -> TokenUsage:
        """What it has come to: of an answer that was stopped, too, what was sent and what had come."""
        if self._is_free:
            return TokenUsage()
        done = self._done or Done()
        prompt, completion = _told(done.prompt_tokens), _told(done.completion_tokens)
        estimated = (self.call.prompt_tokens if prompt is None else 0) + (
            self.completion_tokens if completion is None else 0
        )
        prompt = self.call.prompt_tokens if prompt is None else prompt
        completion = self.completion_tokens if completion is None else completion
        model = self.call.model
        cost = model.cost_micro(prompt, completion, _told(done.cached_tokens) or 0) if model else 0
        return TokenUsage(1, prompt, completion, estimated, cost)


def _told(tokens: int | None) -> int | None:
    return None if tokens is None else min(max(tokens, 0), MAX_TOLD_TOKENS)
