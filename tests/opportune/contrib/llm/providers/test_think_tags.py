"""Reasoning between `<think>` tags at the start of an answer, as endpoints without a reasoning parser send it."""

from contextlib import aclosing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opportune.contrib.llm import LanguageModel
from opportune.contrib.llm.providers.provider import Chunk, Reasoning
from opportune.contrib.llm.providers.think_tags import MAX_LEADING_SPACE, ThinkTagSplitter
from tests.opportune.contrib.llm.providers.endpoint import DONE, EVENTS, STOP, Step, event, text
from tests.opportune.contrib.llm.providers.model_answers import QUESTION, read_error_of, serve_provider

LENGTH = {"choices": [{"delta": {}, "finish_reason": "length"}]}
FRAGMENTS = ["<", "</", "think", ">", "<think>", "</think>", "</thin", " ", "\n", "Hm.", "Because. "]
HARMONY = ["<|channel|>", "<|message|>", "<|end|>", "analysis", "final"]
SLOW_MACHINES = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CONTENTS = st.lists(st.sampled_from([*FRAGMENTS, *HARMONY]), max_size=12).map("".join)


def split(*chunks: str) -> tuple[str, str]:
    """Return all reasoning and all text of an answer."""
    splitter = ThinkTagSplitter()
    parts = [*map(splitter.feed, chunks), splitter.finish()]
    return "".join(reasoning for reasoning, _ in parts), "".join(text for _, text in parts)


async def read_chunks(*steps: Step) -> list[Chunk]:
    async with serve_provider(*steps) as (provider, _), aclosing(provider.stream(QUESTION)) as chunks:
        return [chunk async for chunk in chunks]


@pytest.mark.parametrize(
    ("content", "reasoning", "answer"),
    [
        ("<think>Hm.</think>Because.", "Hm.", "Because."),
        ("\n <think>\nHm.</think>\n\nBecause.\n", "Hm.", "Because.\n"),
        ("<think>\n\n</think>\n\nBecause.", "", "Because."),
        ("<think>Is 1</2? </thing></think>No.", "Is 1</2? </thing>", "No."),
        ("<think>Hm.</think>Write <think>x</think>.", "Hm.", "Write <think>x</think>."),
        ("<think>Hm.</thin", "Hm.</thin", ""),
        ("<think>", "", ""),
        ("Write <think>x</think>.", "", "Write <think>x</think>."),
        ("  <thin", "", "  <thin"),
        ("  Because.", "", "  Because."),
        ("", "", ""),
    ],
)
def test_tag_at_the_start_holds_reasoning(content: str, reasoning: str, answer: str) -> None:
    assert split(content) == (reasoning, answer)
    assert split(*content) == (reasoning, answer)


@pytest.mark.parametrize("beginning", ["", "<think>", " \n<think>Hm.</think> ", "<|channel|>analysis<|message|>"])
@SLOW_MACHINES
@given(content=CONTENTS, cuts=st.sets(st.integers(0, 60), max_size=8))
def test_split_is_independent_of_chunks(beginning: str, content: str, cuts: set[int]) -> None:
    content = beginning + content
    ends = zip([0, *sorted(cuts)], [*sorted(cuts), None], strict=True)
    assert split(*(content[start:outcome] for start, outcome in ends)) == split(content)


@SLOW_MACHINES
@given(CONTENTS)
def test_text_without_a_tag_at_the_start_is_unchanged(content: str) -> None:
    content = f"Because {content}"
    assert split(*content) == ("", content)


def test_endless_white_space_is_not_held_back() -> None:
    splitter = ThinkTagSplitter()
    assert "".join(splitter.feed(" ")[1] for _ in range(MAX_LEADING_SPACE + 5)) == " " * (MAX_LEADING_SPACE + 5)


async def test_answer_in_one_chunk_is_split() -> None:
    step = text("<think>Hm.</think>Because.")
    async with serve_provider(EVENTS, step, event(STOP), DONE) as (provider, _):
        assert await LanguageModel(lambda: provider).complete("Why?") == "Because."


async def test_unclosed_tag_explains_that_thinking_used_all_tokens() -> None:
    error = await read_error_of(EVENTS, text("<think>Hm."), event(LENGTH), DONE)
    assert (error.code, "used up the length of its answer for thinking" in str(error)) == ("out_of_tokens", True)


async def test_only_tagged_reasoning_is_an_error() -> None:
    error = await read_error_of(EVENTS, text("<think>Hm.</think>\n"), event(STOP), DONE)
    assert (error.code, str(error)) == ("empty", "The model thought, but gave no answer. Try again.")


UNOPENED_REASONING = [*map(text, ["Hm", ".\n</th", "ink>\n\nYes", " it is."]), event(STOP), DONE]


async def test_later_answers_without_an_opening_tag_are_split() -> None:
    async with serve_provider(EVENTS, *UNOPENED_REASONING) as (provider, _):
        first, second = [[chunk async for chunk in provider.stream(QUESTION)] for _ in range(2)]
    assert "".join(chunk for chunk in first if isinstance(chunk, str)) == "Hm.\n</think>\n\nYes it is."
    assert "".join(chunk.text for chunk in second if isinstance(chunk, Reasoning)) == "Hm.\n"
    assert "".join(chunk for chunk in second if isinstance(chunk, str)) == "Yes it is."


async def test_answer_without_any_tag_is_text_again() -> None:
    async with serve_provider(EVENTS, *UNOPENED_REASONING) as (provider, endpoint):
        [chunk async for chunk in provider.stream(QUESTION)]
        endpoint.steps = (EVENTS, text("Ye"), text("s"), event(STOP), DONE)
        second, third = [[chunk async for chunk in provider.stream(QUESTION)] for _ in range(2)]
    assert "".join(chunk for chunk in second if isinstance(chunk, str)) == "Yes"
    assert [chunk for chunk in third if isinstance(chunk, Reasoning)] == []


async def test_answer_with_both_tags_is_split_as_before() -> None:
    async with serve_provider(EVENTS, *UNOPENED_REASONING) as (provider, endpoint):
        [chunk async for chunk in provider.stream(QUESTION)]
        endpoint.steps = (EVENTS, text("<think>Hm."), text("</think>Yes"), event(STOP), DONE)
        second = [chunk async for chunk in provider.stream(QUESTION)]
    assert second[:-1] == [Reasoning("Hm."), "Yes"]
