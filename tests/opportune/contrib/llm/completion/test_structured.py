"""Structured answers."""

from typing import Literal

import pytest
from pydantic import BaseModel

from opportune.contrib.llm import FakeProvider, LanguageModel, LlmError
from tests.opportune.contrib.llm.providers.endpoint import DONE, EVENTS, text
from tests.opportune.contrib.llm.providers.model_answers import serve_provider


class Mood(BaseModel):
    mood: Literal["good", "bad"]
    reasons: list[str] = []


def scripted_model(*answers: str) -> tuple[LanguageModel, FakeProvider]:
    """A model that gives one answer after the other."""
    provider, remaining = FakeProvider(), list(answers)
    stream = provider.stream

    def next_answer(messages: object) -> object:
        provider.script = [remaining.pop(0)]
        return stream(messages)  # type: ignore[arg-type]

    provider.stream = next_answer  # type: ignore[method-assign,assignment]
    return LanguageModel(lambda: provider), provider


@pytest.mark.parametrize(
    "reply", ['{"mood": "good"}', 'Of course!\n```json\n{"mood": "good"}\n```\nAnything else?', ' {"mood":\n"good"} ']
)
async def test_text_around_json_is_ignored(reply: str) -> None:
    model, provider = scripted_model(reply)
    assert await model.parse("How is it?", Mood, system="Be brief.") == Mood(mood="good")
    rules, system, question = provider.received[0]
    assert '"enum": ["good", "bad"]' in rules.content
    assert (system.content, question.content) == ("Be brief.", "How is it?")


async def test_invalid_answer_is_sent_back() -> None:
    model, provider = scripted_model("I feel fine.", '{"mood": "great"}', '{"mood": "good", "reasons": ["sun"]}')
    assert await model.parse("How is it?", Mood) == Mood(mood="good", reasons=["sun"])
    assert len(provider.received) == 3
    reply, correction = provider.received[2][-2:]
    assert (reply.role, reply.content) == ("assistant", '{"mood": "great"}')
    assert "mood: Input should be 'good' or 'bad'" in correction.content


async def test_only_invalid_answers_are_an_error() -> None:
    model, provider = scripted_model(*["What?"] * 2)
    with pytest.raises(LlmError, match="requested form") as raised:
        await model.parse("How is it?", Mood, attempts=2)
    assert raised.value.code == "malformed"
    assert len(provider.received) == 2


@pytest.mark.parametrize(
    "reply",
    ['{"result": [{"mood": "good"}]}', 'Sure: [{"mood": "good"}] Done.', '```\n{"result": [{"mood": "good"}]}```'],
)
async def test_list_is_parsed_with_and_without_an_object(reply: str) -> None:
    model, _ = scripted_model(reply)
    assert await model.parse("How were they?", list[Mood]) == [Mood(mood="good")]


async def test_endpoint_is_bound_to_the_schema_if_it_can() -> None:
    async with serve_provider(EVENTS, text('{"result": [1, 2]}'), DONE) as (provider, endpoint):
        model = LanguageModel(lambda: provider)
        assert await model.parse("Count to two.", list[int]) == [1, 2]
        endpoint.refused_parameter = "response_format"
        assert await model.parse("Count to two.", list[int]) == [1, 2]
        endpoint.refused_parameter = ""
        assert await model.parse("Count to two.", list[int]) == [1, 2]
    schema = endpoint.bodies[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["result"]["type"] == "array"
    assert ["response_format" in body for body in endpoint.bodies] == [True, True, False, False]
