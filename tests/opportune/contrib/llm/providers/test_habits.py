"""Habits of endpoints, read as they come and cut anywhere."""

from collections.abc import Iterable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opportune.contrib.llm import Chunk, Done, LlmError, Reasoning, ToolSchema
from opportune.contrib.llm.providers.events import EventReader
from opportune.contrib.llm.providers.openai_stream import ChatCompletionReader
from tests.opportune.contrib.llm.providers.endpoint import response
from tests.opportune.contrib.llm.providers.habits import HABITS, Answer
from tests.opportune.contrib.llm.providers.model_answers import read_chunks, serve_provider

TOOLS = [ToolSchema("find", "Find rows.", {"type": "object", "properties": {}})]
MAX_CUT_BYTES = 20_000
CUT_HABITS = {name: habit for name, habit in HABITS.items() if len(habit.body) < MAX_CUT_BYTES}
"""Habits that are short enough to be read byte by byte."""


def summarize(chunks: Iterable[Chunk], outcome: Done | LlmError | None) -> Answer:
    chunks = [*chunks]
    done = outcome if isinstance(outcome, Done) else Done()
    assert len({call.id for call in done.tool_calls}) == len(done.tool_calls), "results need unique ids"
    return Answer(
        "".join(chunk for chunk in chunks if isinstance(chunk, str)),
        "".join(chunk.text for chunk in chunks if isinstance(chunk, Reasoning)),
        tuple((call.name, call.arguments) for call in done.tool_calls),
        outcome.code if isinstance(outcome, LlmError) else "",
        (done.prompt_tokens, done.completion_tokens),
        done.truncated,
    )


def read(pieces: Iterable[bytes]) -> Answer:
    events, answer, chunks = EventReader(), ChatCompletionReader(tools=TOOLS), list[Chunk]()
    try:
        for piece in [*pieces, None]:
            for event in events.finish() if piece is None else events.feed(piece):
                chunks += [] if answer.is_over else answer.read(event)
    except LlmError as error:
        if not answer.is_finished:
            return summarize(chunks, error)
    chunks += answer.read_pending()
    try:
        return summarize(chunks, answer.finish())
    except LlmError as error:
        return summarize(chunks, error)


@given(name=st.sampled_from([*CUT_HABITS]), cuts=st.sets(st.integers(0, MAX_CUT_BYTES), max_size=5))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100)
def test_habit_is_understood_in_any_pieces(name: str, cuts: set[int]) -> None:
    body, answer = CUT_HABITS[name]
    ends = sorted(cut % len(body) for cut in cuts) if body else []
    assert read(body[start:end] for start, end in zip([0, *ends], [*ends, None], strict=True)) == answer


async def test_habits_are_understood_over_http() -> None:
    wrong = {}
    async with serve_provider() as (provider, endpoint):
        for name, (body, expected) in HABITS.items():
            endpoint.steps = (response("200 OK", body, "Content-Type: text/event-stream"),)
            reasoning, text, end = await read_chunks(provider, TOOLS)
            answer = summarize([Reasoning(reasoning), text], end)
            if answer != expected:
                wrong[name] = answer
    assert wrong == {}
