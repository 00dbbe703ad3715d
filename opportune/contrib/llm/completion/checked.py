"""Checks of answers: plausible token counts, some text, and no calls of tools that were not offered."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from opportune.config.llm_models import LlmModel
from opportune.contrib.llm.providers.provider import (
    EMPTY,
    Chunk,
    Done,
    LlmError,
    Message,
    Reasoning,
    ToolSchema,
    estimate_prompt_tokens,
    estimate_tokens,
)
from opportune.i18n import gettext_lazy as _l
from opportune.schemas.text import make_storable

logger = logging.getLogger(__name__)

PLAUSIBLE_TOKENS_PER_ESTIMATED = 8
"""Maximum ratio of a reported count to the estimate. A token has at least one byte, and the estimate assumes four."""
PLAUSIBLE_MARGIN_TOKENS = 10_000
"""Tokens that an endpoint may add: instructions, search results, hidden reasoning."""
MAX_ANSWERS_PER_LIMIT = 4
"""Maximum ratio of an answer to `max_answer_tokens`. Some endpoints do not limit reasoning by it."""
UNOFFERED_TOOL = _l("The model requested a tool that does not exist. Try again.")


async def checked_answer(
    name: str,
    model: LlmModel | None,
    messages: Sequence[Message],
    tools: Sequence[ToolSchema],
    answer: AsyncGenerator[Chunk, None],
) -> AsyncGenerator[Chunk, None]:
    """Yield the answer. Implausible token counts become None, so that they are estimated.

    Raises:
        LlmError: The answer is blank, or calls tools although none were offered.
    """
    prompt_tokens, text_tokens, has_text = estimate_prompt_tokens(messages, tools), 0, False
    try:
        async with aclosing(answer) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, Done):
                    done = storable_done(chunk)
                    _require_answer(done, tools, has_text=has_text)
                    yield plausible_usage(name, model, prompt_tokens, text_tokens, done)
                    continue
                text = chunk.text if isinstance(chunk, Reasoning) else chunk
                text_tokens += estimate_tokens(text)
                has_text = has_text or (isinstance(chunk, str) and bool(chunk.strip()))
                yield chunk
    except LlmError as error:
        if error.done:
            error.done = plausible_usage(name, model, prompt_tokens, text_tokens, error.done)
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


def plausible_usage(name: str, model: LlmModel | None, prompt: int, text: int, done: Done) -> Done:
    """Replace token counts by None if they are far above the estimates for the prompt and the text."""
    context, answer = (model.context_tokens, model.max_answer_tokens) if model else (0, 0)
    text += sum(estimate_tokens(call.name + call.arguments) for call in done.tool_calls)
    prompt_limit = PLAUSIBLE_TOKENS_PER_ESTIMATED * prompt + context + PLAUSIBLE_MARGIN_TOKENS
    answer_limit = PLAUSIBLE_TOKENS_PER_ESTIMATED * text + MAX_ANSWERS_PER_LIMIT * answer + PLAUSIBLE_MARGIN_TOKENS
    checked = replace(
        done,
        prompt_tokens=_plausible_count(prompt_limit, done.prompt_tokens),
        completion_tokens=_plausible_count(answer_limit, done.completion_tokens),
    )
    if (checked.prompt_tokens, checked.completion_tokens) != (done.prompt_tokens, done.completion_tokens):
        logger.warning(
            "%s reported %s prompt tokens and %s answer tokens, but the estimates are %s and %s: "
            "the implausible count is replaced by its estimate",
            name,
            done.prompt_tokens,
            done.completion_tokens,
            prompt,
            text,
        )
    return replace(
        checked,
        cached_tokens=_plausible_count(checked.prompt_tokens or 0, done.cached_tokens),
        reasoning_tokens=_plausible_count(checked.completion_tokens or 0, done.reasoning_tokens),
    )


def _plausible_count(limit: int, tokens: int | None) -> int | None:
    return tokens if tokens is not None and 0 <= tokens <= limit else None
