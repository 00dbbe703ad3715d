"""Reasoning in fields of its own, or between `<think>` tags from endpoints without a reasoning parser."""

from typing import Any

import pytest

from opportune.contrib.llm.providers.mark_reader import MAX_LEADING_SPACE, MarkReader
from tests.opportune.contrib.llm.providers.event_stream import DONE, EVENTS, STOP, event, text
from tests.opportune.contrib.llm.providers.habits import delta, finish, usage
from tests.opportune.contrib.llm.providers.model_answers import read_chunks, read_error_of, serve_provider

THOUGHT = delta(content=None, reasoning="Hm.")
USAGE = usage({"prompt_tokens": 7, "completion_tokens": 90, "completion_tokens_details": {"reasoning_tokens": 90}})
WITHOUT_OPENING_TAG = ["Hm", ".\n</th", "ink>\n\nYes", " it is."]


@pytest.mark.parametrize("step", [THOUGHT, USAGE, text(""), text("<think>Hm.")])
async def test_error_explains_that_thinking_used_all_tokens(step: bytes) -> None:
    error = await read_error_of(EVENTS, step, finish("length"), DONE)
    assert error.code == "out_of_tokens"
    assert "used up the length of its answer for thinking" in str(error)


async def test_error_has_the_reported_tokens() -> None:
    done = (await read_error_of(EVENTS, THOUGHT, finish("length"), USAGE, DONE)).done
    assert done
    assert (done.prompt_tokens, done.completion_tokens, done.reasoning_tokens) == (7, 90, 90)


def test_endless_white_space_is_not_held_back() -> None:
    splitter = MarkReader()
    assert "".join(splitter.feed(" ")[1] for _ in range(MAX_LEADING_SPACE + 5)) == " " * (MAX_LEADING_SPACE + 5)


@pytest.mark.parametrize(
    ("next_answers", "expected"),
    [
        pytest.param([WITHOUT_OPENING_TAG], [("Hm.\n", "Yes it is.")], id="next answer is split"),
        pytest.param([["Ye", "s"]] * 2, [("Yes", "Yes"), ("", "Yes")], id="answer without any tag is text again"),
        pytest.param([["<think>Hm.", "</think>Yes"]], [("Hm.", "Yes")], id="answer with both tags"),
    ],
)
async def test_endpoint_may_omit_the_opening_tag(next_answers: list[list[str]], expected: list[Any]) -> None:
    async with serve_provider() as (provider, endpoint):
        received = []
        for pieces in (WITHOUT_OPENING_TAG, *next_answers):
            endpoint.steps = (EVENTS, *map(text, pieces), event(STOP), DONE)
            received.append((await read_chunks(provider))[:2])
    assert received == [("", "Hm.\n</think>\n\nYes it is."), *expected]
