"""Token usage of calls: estimated from their texts, unless the endpoint reports plausible counts."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

from opportune.config.llm_models import LlmModel
from opportune.contrib.llm.providers import provider

logger = logging.getLogger(__name__)

MAX_REPORTED_TOKENS = 10**9
"""Maximum tokens of one call. Larger counts come from broken endpoints."""
PLAUSIBLE_TOKENS_PER_ESTIMATED = 8
"""Maximum ratio of a reported count to the estimate. A token has at least one byte, and the estimate assumes four."""
PLAUSIBLE_MARGIN_TOKENS = 10_000
"""Tokens that an endpoint may add: instructions, search results, hidden reasoning."""
MAX_ANSWERS_PER_LIMIT = 4
"""Maximum ratio of an answer to `max_answer_tokens`. Some endpoints do not limit reasoning by it."""
IMPLAUSIBLE = (
    "%s reported %s prompt tokens and %s answer tokens, but the estimates are %s and %s: "
    "the implausible count is replaced by its estimate"
)
FREE_CODES: frozenset[provider.ErrorCode] = frozenset(
    {"refused", "unauthorised", "rate_limited", "busy", "rejected", "unavailable", "not_configured"}
)
"""Errors that cost nothing if they occur before the first chunk."""


@dataclass(slots=True)
class TokenUsage:
    """Number, tokens and cost (in millionths of the currency) of calls."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated_tokens: int = 0
    """Part of the tokens that was estimated, not reported."""
    cost_micro: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def add(self, other: Self) -> None:
        for name in COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


COUNTERS = tuple(field.name for field in fields(TokenUsage))
"""Names of the counters of a usage, which are also columns of the table of usage."""


class CallMeter:
    """Counts the tokens of one call of a model."""

    def __init__(
        self,
        name: str,
        model: LlmModel | None,
        messages: Sequence[provider.Message],
        tools: Sequence[provider.ToolSchema] = (),
    ) -> None:
        """`name`: name of the model, as shown to users. `model`: None for the local model."""
        self.name = name
        self.model = model
        self.prompt_tokens = provider.estimate_prompt_tokens(messages, tools)
        """Estimated tokens of the prompt."""
        self.done: provider.Done | None = None
        """End of the answer, or of a failed one."""
        self._bytes = 0
        self._is_free = True

    @property
    def answer_tokens(self) -> int:
        """Estimated tokens of the answer so far."""
        return -(-self._bytes // 4)

    def start(self) -> None:
        """Record that the request is sent. Until then, it costs nothing."""
        self._is_free = False

    def count(self, chunk: provider.Chunk) -> provider.Chunk:
        """Count a chunk of the answer, and return it without implausible counts."""
        if isinstance(chunk, provider.Done):
            self._bytes += sum(len((call.name + call.arguments).encode(errors="replace")) for call in chunk.tool_calls)
            self.done = self._plausible(chunk)
            return self.done
        self._bytes += len((chunk.text if isinstance(chunk, provider.Reasoning) else chunk).encode(errors="replace"))
        return chunk

    def fail(self, error: provider.LlmError) -> None:
        """Record the error that ended the call, with the token counts reported before it."""
        if error.done:
            error.done = self.done = self._plausible(error.done)
        self._is_free = error.code in FREE_CODES and not self._bytes

    def usage(self) -> TokenUsage:
        """Return the token usage, also of an answer that was stopped early."""
        if self._is_free:
            return TokenUsage()
        done = self.done or provider.Done()
        # No endpoint can claim to be free.
        prompt = done.prompt_tokens or self.prompt_tokens
        completion = done.completion_tokens or self.answer_tokens
        estimated = (0 if done.prompt_tokens else prompt) + (0 if done.completion_tokens else completion)
        cost = self.model.cost_micro(prompt, completion, done.cached_tokens or 0) if self.model else 0
        return TokenUsage(1, prompt, completion, estimated, cost)

    def _plausible(self, done: provider.Done) -> provider.Done:
        """Replace token counts by None if they are far above the estimates for the prompt and the text."""
        context = self.model.context_tokens if self.model else 0
        answer = self.model.max_answer_tokens if self.model else 0
        prompt_limit = PLAUSIBLE_TOKENS_PER_ESTIMATED * self.prompt_tokens + context
        answer_limit = PLAUSIBLE_TOKENS_PER_ESTIMATED * self.answer_tokens + MAX_ANSWERS_PER_LIMIT * answer
        prompt = _plausible_count(prompt_limit + PLAUSIBLE_MARGIN_TOKENS, done.prompt_tokens)
        completion = _plausible_count(answer_limit + PLAUSIBLE_MARGIN_TOKENS, done.completion_tokens)
        reported = done.prompt_tokens, done.completion_tokens
        if (prompt, completion) != reported:
            logger.warning(IMPLAUSIBLE, self.name, *reported, self.prompt_tokens, self.answer_tokens)
        return replace(
            done,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cached_tokens=_plausible_count(prompt or 0, done.cached_tokens),
            reasoning_tokens=_plausible_count(completion or 0, done.reasoning_tokens),
        )


def _plausible_count(limit: int, tokens: int | None) -> int | None:
    return tokens if tokens is not None and 0 <= tokens <= min(limit, MAX_REPORTED_TOKENS) else None
