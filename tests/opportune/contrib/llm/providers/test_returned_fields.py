"""Fields that an endpoint needs back: only to that endpoint, with the call or message that they came with."""

from collections.abc import Sequence
from typing import Any

import pytest

from opportune.contrib.llm import Done, Message, ToolSchema
from opportune.contrib.llm.providers.returned_fields import MAX_RETURNED_LENGTH, ReturnedFields
from tests.opportune.contrib.llm.providers.endpoint import FakeEndpoint, serve_endpoint
from tests.opportune.contrib.llm.providers.event_stream import DONE, EVENTS, text
from tests.opportune.contrib.llm.providers.habits import END, FIND, OPEN, delta, finish
from tests.opportune.contrib.llm.providers.model_answers import QUESTION, provider_at, read_answer

TOOLS = [ToolSchema("find", "Find rows.", {"type": "object", "properties": {}})]
SIGNATURE = {"google": {"thought_signature": "c2ln"}}
CALL = {"index": 0, "id": "a", "function": FIND}


def detail(**fields: Any) -> bytes:
    return delta(reasoning_details=[fields])


def follow_up(done: Done) -> list[Message]:
    results = [Message("tool", "Nothing.", tool_call_id=call.id) for call in done.tool_calls]
    return [*QUESTION, Message("assistant", "", tool_calls=done.tool_calls), *results]


async def read_calls(endpoint: FakeEndpoint, pieces: Sequence[bytes]) -> Done:
    endpoint.steps = (EVENTS, *pieces, finish("tool_calls"), DONE)
    provider = provider_at(endpoint.address)
    _, done = await read_answer(provider, TOOLS)
    await provider.close()
    assert isinstance(done, Done)
    return done


async def sent_to(endpoint: FakeEndpoint, messages: Sequence[Message], model: str = "a-model") -> dict[str, Any]:
    endpoint.steps = (EVENTS, text("Yes"), END)
    provider = provider_at(endpoint.address, model=model)
    assert (await read_answer(provider, TOOLS, messages))[0] == "Yes"
    await provider.close()
    turn: dict[str, Any] = endpoint.bodies[-1]["messages"][1]
    return turn


@pytest.mark.parametrize(
    ("pieces", "fields"),
    [
        ([delta(reasoning_content="Hm"), delta(reasoning_content=".")], {"reasoning_content": "Hm."}),
        ([delta(reasoning_opaque="x")], {"reasoning_opaque": "x"}),
        pytest.param(
            [
                detail(type="text", text="H", index=0),
                detail(type="text", text="m.", index=0, format="v1"),
                detail(type="text", signature="sig", index=0),
                *[detail(type="encrypted", data="x", id="a", index=0)] * 2,
                detail(type="encrypted", data="y", id="b", index=0),
                detail(type="text", text="Next.", index=1),
            ],
            {
                "reasoning_details": [
                    {"type": "text", "text": "Hm.", "index": 0, "format": "v1", "signature": "sig"},
                    {"type": "encrypted", "data": "x", "id": "a", "index": 0},
                    {"type": "encrypted", "data": "y", "id": "b", "index": 0},
                    {"type": "text", "text": "Next.", "index": 1},
                ]
            },
            id="pieces with an index",
        ),
        pytest.param(
            [
                delta(thinking_blocks=[{"thinking": "H"}]),
                delta(thinking_blocks=[{"thinking": "m.", "signature": "sig"}, {"thinking": "Next."}]),
            ],
            {"thinking_blocks": [{"thinking": "Hm.", "signature": "sig"}, {"thinking": "Next."}]},
            id="pieces without an index end with a signature",
        ),
        ([delta(reasoning_content="H\0m.")], {"reasoning_content": "Hm."}),
        ([delta(content="Yes", annotations=[], extra_content={"google": {"thought": True}})], {}),
    ],
)
async def test_fields_of_a_message_come_back(pieces: list[bytes], fields: dict[str, Any]) -> None:
    async with serve_endpoint() as endpoint:
        messages = follow_up(await read_calls(endpoint, [*pieces, delta(tool_calls=[CALL])]))
        turn = await sent_to(endpoint, messages)
        assert {name: value for name, value in turn.items() if name not in ("role", "content", "tool_calls")} == fields
        other_model = await sent_to(endpoint, messages, model="other")
    assert other_model.keys() == {"role", "content", "tool_calls"}


async def test_signature_comes_back_with_its_call() -> None:
    async with serve_endpoint() as endpoint:
        calls = [{**CALL, "extra_content": SIGNATURE}, {"index": 1, "id": "b", "function": OPEN}]
        messages = follow_up(await read_calls(endpoint, [delta(tool_calls=calls)]))
        turn, other = await sent_to(endpoint, messages), await sent_to(endpoint, messages, model="other")
    assert [call.get("extra_content") for call in turn["tool_calls"]] == [SIGNATURE, None]
    assert [call.keys() for call in other["tool_calls"]] == [{"id", "type", "function"}] * 2


async def test_fields_come_back_without_invalid_arguments() -> None:
    async with serve_endpoint() as endpoint:
        done = await read_calls(endpoint, [delta(reasoning_content="Hm.", content="Yes")])
        turn = await sent_to(endpoint, [*QUESTION, Message("assistant", "Yes", returned=done.returned), *QUESTION])
        call = {**CALL, "function": {"name": "find", "arguments": "{q: 1"}}
        invalid = await sent_to(endpoint, follow_up(await read_calls(endpoint, [delta(tool_calls=[call])])))
    assert turn == {"role": "assistant", "content": "Yes", "reasoning_content": "Hm."}
    assert invalid["tool_calls"][0]["function"] == {"name": "find", "arguments": "{}"}


def test_long_fields_are_complete_or_dropped() -> None:
    fields = ReturnedFields("origin")
    fields.add({"reasoning_content": "Hm.", "reasoning_opaque": "x" * (MAX_RETURNED_LENGTH - len("''"))})
    assert fields.of_message()["message"].keys() == {"reasoning_content", "reasoning_opaque"}
    fields.add({"reasoning_opaque": "y"})
    assert fields.of_message() == {}
