"""Conversations in which a model calls tools."""

from typing import Any

import pytest
from fastapi import FastAPI

from opportune.contrib.llm import Done, FakeProvider, LlmError, Message, ToolCall
from opportune.contrib.tools import Toolbox, ToolResult, ToolRun, converse
from opportune.contrib.tools import conversation as conversation_module
from opportune.contrib.tools.conversation import TOO_MANY_CALLS
from opportune.contrib.tools.toolbox import MAX_STEPS
from opportune.db import WriteSession

QUESTION = [Message("user", "What is the weather?")]
RAIN = ToolCall("call_1", "read_weather", '{"place": "Graz"}')
CLOSE = ToolCall("call_2", "close_windows", "{}")


async def read_weather(place: str) -> str:
    """Read the weather."""
    return f"Rain in {place}."


async def close_windows(session: WriteSession) -> str:
    """Close all windows."""
    return "Closed."


def request_calls(*calls: ToolCall) -> Done:
    return Done(10, 5, tool_calls=calls)


async def run_conversation(app: FastAPI, *scripts: list[Any], **options: Any) -> list[object]:
    if scripts:
        app.state.llm.provider = FakeProvider.in_turn(*scripts)
    toolbox = Toolbox(app, [read_weather, close_windows])
    return [chunk async for chunk in converse(app.state.llm, QUESTION, toolbox, None, **options)]


def results_of(chunks: list[object]) -> list[ToolResult]:
    return [chunk.result for chunk in chunks if isinstance(chunk, ToolRun) and chunk.result]


async def test_results_are_sent_to_the_model(app: FastAPI) -> None:
    scripts: Any = ["Let me look. ", request_calls(RAIN)], ["It rains.", Done(20, 3)]
    app.state.llm.provider = model = FakeProvider.in_turn(*scripts)
    begun, ended = [ToolRun(RAIN, "Read the weather", result) for result in (None, ToolResult("Rain in Graz."))]
    done = Done(30, 8, model="Scripted")
    assert await run_conversation(app) == ["Let me look. ", begun, ended, "It rains.", done]
    assert model.offered == [["read_weather", "close_windows"]] * 2
    *question, request, result = model.received[1]
    assert (question, request) == ([*QUESTION], Message("assistant", "Let me look. ", tool_calls=(RAIN,)))
    assert result == Message("tool", "Rain in Graz.", tool_call_id="call_1")


async def test_changing_tool_needs_an_approval(app: FastAPI) -> None:
    approvals = list[ToolCall]()

    async def approve(call: ToolCall) -> bool:
        approvals.append(call)
        return True

    chunks = await run_conversation(app, [request_calls(CLOSE, RAIN)], ["Done."], approve=approve)
    assert approvals == [CLOSE]
    assert chunks[1] == ToolRun(CLOSE, "Close all windows", ToolResult("Closed."))
    chunks = await run_conversation(app, [request_calls(CLOSE)], ["Then not."])
    assert results_of(chunks) == [ToolResult("The user has not allowed this call.", is_error=True)]


async def test_malformed_call_needs_no_approval(app: FastAPI) -> None:
    wrong = ToolCall("call_3", "close_windows", '{"all": true}')
    unknown = ToolCall("call_4", "open_doors", "{}")
    chunks = await run_conversation(app, [request_calls(wrong, unknown)], ["Sorry."])
    malformed, missing = [result.text for result in results_of(chunks)]
    assert malformed == "all: Extra inputs are not permitted."
    assert missing == "There is no tool open_doors. Available: read_weather, close_windows."


async def test_model_must_answer_after_the_last_round(app: FastAPI) -> None:
    chunks = await run_conversation(app, *[[request_calls(RAIN)]] * MAX_STEPS, ["It rains.", Done(10, 5)])
    model = app.state.llm.provider
    assert len(model.received) == MAX_STEPS + 1
    assert len(model.offered) == MAX_STEPS
    assert chunks[-1] == Done(10 * (MAX_STEPS + 1), 5 * (MAX_STEPS + 1), model="Scripted")
    with pytest.raises(LlmError, match="requested a tool that does not exist"):
        await run_conversation(app, [request_calls(RAIN)])


async def test_calls_per_round_are_limited(app: FastAPI) -> None:
    chunks = await run_conversation(app, [request_calls(*[RAIN] * 20)], ["It rains."])
    results = results_of(chunks)
    assert [result.is_error for result in results] == [False] * 16 + [True] * 4
    assert results[-1] == TOO_MANY_CALLS


async def test_length_of_results_is_limited(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation_module, "MAX_RESULTS_LENGTH", 20)
    chunks = await run_conversation(app, [request_calls(RAIN, RAIN)], [request_calls(RAIN)], ["It rains."])
    assert [result.is_error for result in results_of(chunks)] == [False, False, True]


async def test_duplicate_call_ids_need_two_approvals(app: FastAPI) -> None:
    """Endpoints choose the ids, so the approval of one call must not apply to another with the same id."""
    approvals = list[str]()

    async def approve(call: ToolCall) -> bool | None:
        approvals.append(call.name)
        return None

    harmless = ToolCall(CLOSE.id, "read_weather", '{"place": "Graz"}')
    chunks = await run_conversation(app, [request_calls(CLOSE, harmless)], ["Done."], approve=approve)
    runs = [chunk for chunk in chunks if isinstance(chunk, ToolRun)]
    assert approvals == ["close_windows"]
    assert [(run.call.name, run.waits, run.has_begun, run.result) for run in runs] == [
        ("close_windows", True, False, None),
        ("read_weather", False, False, None),
    ]
    assert len({run.call.id for run in runs}) == len(runs)
