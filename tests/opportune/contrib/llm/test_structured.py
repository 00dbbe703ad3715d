"""Structured answers."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from opportune.contrib.llm import Done, FakeProvider, LanguageModel, LlmError, Reasoning
from tests.opportune.contrib.llm.providers.event_stream import DONE, EVENTS, text
from tests.opportune.contrib.llm.providers.model_answers import serve_provider


class Mood(BaseModel):
    mood: Literal["good", "bad"]
    reasons: list[str] = []


def fake_model(*scripts: Sequence[Any]) -> tuple[LanguageModel, FakeProvider]:
    provider = FakeProvider.in_turn(*scripts)
    return LanguageModel(lambda: provider), provider


GOOD = Mood(mood="good")


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ('Of course!\n```json\n{"mood": "good"}\n```\nAnything else?', GOOD),
        ("It's of {kind} {'mood': 'good',}", GOOD),
        ('{"result": [{"mood": "good"}]}', [GOOD]),
        ('```\n{"result": [{"mood": "good"}]}```', [GOOD]),
        ('<think>I might say {"mood": ...}</think>{"mood": "good"}', GOOD),
        ('{"type": "object", "properties": {"mood": "good"}}', GOOD),
        ('{"Mood": {"mood": "good"}}', GOOD),
        ('{"mood": "good"}\n{"mood": "good"}', [GOOD, GOOD]),
    ],
)
async def test_text_around_json_is_ignored(reply: str, value: Mood | list[Mood]) -> None:
    model, _ = fake_model([reply])
    into: Any = list[Mood] if isinstance(value, list) else Mood
    assert await model.parse("How is it?", into) == value


class Sad(BaseModel):
    kind: Literal["sad"] = "sad"


class Glad(BaseModel):
    kind: Literal["glad"] = "glad"
    why: str = ""


class Chapter(BaseModel):
    title: str = ""
    parts: list["Chapter"] = []


@pytest.mark.parametrize(
    ("into", "reply", "value"),
    [
        (Chapter, '{"title": "A", "parts": [{"title": "B"}]}', Chapter(title="A", parts=[Chapter(title="B")])),
        (Chapter, '{"chapter": {"title": "A"}}', Chapter(title="A")),
        (Chapter | None, '{"answer": null}', None),
        (Sad | Glad, '{"answer": {"kind": "glad", "why": "sun"}}', Glad(why="sun")),
        (list[str], "['sun', 'sea',]", ["sun", "sea"]),
        (Literal["yes", "no"], "```\nyes\n```\n", "yes"),
        (int, '```\n{"result": 42}\n```', 42),
    ],
)
async def test_other_types_need_no_object_around_them(into: Any, reply: str, value: object) -> None:
    model, _ = fake_model([reply])
    assert await model.parse("What is it?", into) == value


@pytest.mark.parametrize(
    ("into", "reply"),
    [
        (list[Mood], "I can't help with that."),
        (list[Mood], '[{"mood": "good"}, {"mood": "ba'),
        (Chapter, '{title: A, parts: [{"title": "B"}]}'),
        (Chapter, '{"error": "no"}'),
        (Mood, '[{"mood": "good"}, {"mood": "bad"}]'),
        (list[float], "[1, NaN]"),
        (Chapter, '{"title": "A "new" one", "parts": [{"title": "B"}]}'),
    ],
)
async def test_parts_of_an_invalid_answer_are_no_answer(into: Any, reply: str) -> None:
    model, _ = fake_model([reply])
    message = f"It wrote: {reply}$" if "help" in reply else r"requested form\. Try again"
    with pytest.raises(LlmError, match=message):
        await model.parse("What is it?", into)


async def test_invalid_answer_is_sent_back() -> None:
    model, provider = fake_model(["Fine."], ['{"mood": "great"}'], ['{"mood": "good", "reasons": ["sun"]}'])
    assert await model.parse("How is it?", Mood) == Mood(mood="good", reasons=["sun"])
    assert len(provider.received) == 3
    reply, correction = provider.received[2][-2:]
    assert (reply.role, reply.content) == ("assistant", '{"mood": "great"}')
    assert "mood: Input should be 'good' or 'bad'" in correction.content


async def test_endpoint_is_bound_to_the_schema_if_it_can() -> None:
    async with serve_provider(EVENTS, text('{"result": [1, 2]}'), DONE) as (provider, endpoint):
        model = LanguageModel(lambda: provider)
        assert await model.parse("Count to two.", list[int], temperature=0) == [1, 2]
        endpoint.refuse_parameter("response_format")
        assert await model.parse("Count to two.", list[int]) == [1, 2]
        endpoint.refuse = lambda _: None
        assert await model.parse("Count to two.", list[int]) == [1, 2]
    schema = endpoint.bodies[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["result"]["type"] == "array"
    assert ["response_format" in body for body in endpoint.bodies] == [True, True, False, False]
    assert [body.get("temperature") for body in endpoint.bodies] == [0, None, None, None]


class Item(BaseModel):
    label: str = Field(alias="name")
    price: Decimal | None = None


class Invoice(BaseModel):
    number: str
    due: date
    state: Literal["open", "paid"] = "open"
    items: list[Item]
    seller: Item | None = None


INVOICE = (
    '{"number": "A-17", "due": "2026-11-30", "state": "paid", "items": [{"name": "Bread", "price": 2.5}, '
    '{"name": "Salt"}], "seller": {"name": "Mill"}}'
)


async def partials(llm: LanguageModel, into: type[Any] = Invoice, attempts: int = 3) -> list[Any]:
    async with aclosing(llm.stream_parse("Read it.", into, attempts=attempts)) as values:
        return [value async for value in values]


async def test_partial_objects_grow_until_the_valid_one() -> None:
    llm, _ = fake_model([Reasoning("Hm."), "Here:\n```json\n", *INVOICE, "\n```"])
    values = await partials(llm)
    assert values[-1] == Invoice.model_validate_json(INVOICE)
    assert all(isinstance(value, Invoice) for value in values)
    assert values[0].number in ("", "A")
    assert (values[0].due, values[0].state, values[0].items) == (None, "open", None)
    assert {value.due for value in values} == {None, date(2026, 11, 30)}
    assert {value.state for value in values} == {None, "open", "paid"}
    labels = [[item.label for item in value.items or []] for value in values]
    assert any(label[:1] == ["Bread"] and label[1:] in (["S"], ["Sa"], ["Sal"]) for label in labels)
    assert {type(value.seller) for value in values} == {type(None), Item}


@pytest.mark.parametrize(
    ("reply", "attempts"),
    [
        pytest.param("What?", 1, id="one attempt"),
        pytest.param("[" * 1_000_000, 1, id="brackets"),
        pytest.param("{" + ":..." * 200_000, 1, id="ellipses"),
        pytest.param('{"mood": "great"}', 2, id="unsatisfiable"),
        pytest.param('{"mood": "good"', 2, id="incomplete"),
        pytest.param("\ud800{", 2, id="surrogate"),
    ],
)
async def test_answer_that_stays_invalid_is_an_error(reply: str, attempts: int) -> None:
    llm, provider = fake_model([reply])
    with pytest.raises(LlmError, match="requested form") as raised:
        await partials(llm, Mood, attempts=attempts)
    assert raised.value.code == "malformed"
    assert len(provider.received) == attempts
    assert max(len(message.content) for message in provider.received[-1]) < 25_000


@pytest.mark.parametrize(("into", "reply"), [(Mood, '{"mood": "go'), (list[Mood], '[{"mood": "good"},'), (int, "1")])
async def test_answer_that_was_cut_off_is_not_repeated(into: Any, reply: str) -> None:
    llm, provider = fake_model([reply, Done(5, 5, truncated=True)])
    with pytest.raises(LlmError, match="was cut off") as raised:
        await llm.parse("How is it?", into)
    assert raised.value.code == "out_of_tokens"
    assert len(provider.received) == 1


async def test_closed_or_long_answer_is_read_only_in_part() -> None:
    llm, provider = fake_model(['{"mood": "good"', asyncio.Event()])
    async with aclosing(llm.stream_parse("How is it?", Mood)) as moods:
        assert (await anext(moods)).mood == "good"
    assert provider.stopped.is_set()
    llm, _ = fake_model(['{"mood": "good", "reasons": ["', *["word "] * 20_000, '"]}'])
    assert len(await partials(llm, Mood)) < 500
