"""Reasoning streamed by endpoints in separate fields."""

from contextlib import aclosing
from typing import Any

import pytest

from opportune.contrib.llm import LanguageModel, LlmError, Reasoning
from opportune.contrib.llm.providers.openai_stream import MAX_REASONING_LENGTH
from opportune.contrib.llm.providers.provider import Chunk
from tests.opportune.contrib.llm.providers.endpoint import DONE, EVENTS, STOP, Step, event, text
from tests.opportune.contrib.llm.providers.model_answers import QUESTION, read_error_of, serve_provider

LENGTH = {"choices": [{"delta": {}, "finish_reason": "length"}]}


def reasoning_event(**delta: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": None, **delta}}]})


def usage_event(reasoning_tokens: int) -> bytes:
    details = {"reasoning_tokens": reasoning_tokens}
    tokens = {"prompt_tokens": 7, "completion_tokens": 90, "completion_tokens_details": details}
    return event({"choices": [], "usage": tokens})


async def read_chunks(*steps: Step) -> list[Chunk]:
    async with serve_provider(*steps) as (provider, _), aclosing(provider.stream(QUESTION)) as chunks:
        return [chunk async for chunk in chunks]


@pytest.mark.parametrize("step", [reasoning_event(reasoning="Hm."), usage_event(90), text("")])
async def test_error_explains_that_thinking_used_all_tokens(step: bytes) -> None:
    error = await read_error_of(EVENTS, step, event(LENGTH), DONE)
    assert error.code == "out_of_tokens"
    assert "used up the length of its answer for thinking" in str(error)


async def test_error_has_the_reported_tokens() -> None:
    error = await read_error_of(EVENTS, reasoning_event(reasoning="Hm."), event(LENGTH), usage_event(90), DONE)
    assert error.done
    assert (error.done.prompt_tokens, error.done.completion_tokens, error.done.reasoning_tokens) == (7, 90, 90)


async def test_reasoning_without_an_answer_is_an_error() -> None:
    error = await read_error_of(EVENTS, reasoning_event(reasoning="Hm."), event(STOP), DONE)
    assert (error.code, str(error)) == ("empty", "The model thought, but gave no answer. Try again.")


async def test_endless_reasoning_is_cut() -> None:
    reasoning_events = [reasoning_event(reasoning="x" * 50_000)] * 5
    async with serve_provider(EVENTS, *reasoning_events, "hang") as (provider, endpoint):
        length = 0
        with pytest.raises(LlmError) as caught:  # noqa: PT012 - the stream is read until it fails
            async with aclosing(provider.stream(QUESTION)) as chunks:
                async for chunk in chunks:
                    assert isinstance(chunk, Reasoning)
                    length += len(chunk.text)
        await endpoint.disconnected.wait()
    assert (length, caught.value.code) == (MAX_REASONING_LENGTH, "out_of_tokens")


async def test_complete_returns_the_text_alone() -> None:
    async with serve_provider(EVENTS, reasoning_event(reasoning="Hm."), text("Because."), event(STOP), DONE) as (
        provider,
        _,
    ):
        assert await LanguageModel(lambda: provider).complete("Why?") == "Because."
