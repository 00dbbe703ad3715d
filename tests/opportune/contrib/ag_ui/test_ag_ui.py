"""Answers as events of AG-UI, validated by the protocol's package."""

import asyncio
import json
from typing import Any, Literal

import pytest
from ag_ui.core import Event, EventType
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import BaseModel, TypeAdapter

from opportune.accounts import User
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.llm import Done, FakeProvider, LlmError, Message, Reasoning, ToolCall
from opportune.contrib.tools import Source, Toolbox, ask_user, tool
from opportune.db import WriteSession
from opportune.jobs import JobContext
from opportune.testing import RecordedJobs, make_token, make_user, signed_in_client
from tests.opportune.contrib.answers.questions import TIMEOUT_SECONDS
from tests.opportune.contrib.answers.waiting_answers import StartManager
from tests.opportune.waiting import wait_until

URL = "/api/v1/ag-ui"
EVENT = TypeAdapter[Any](Event)

lent: list[str] = []
may_end = asyncio.Event()


class Audience(BaseModel):
    """Ask for whom the page is."""

    readers: Literal["beginners", "experts"]


async def find_book() -> Source:
    """Find a book."""
    return Source(title="Dune", url="/books/1", text="Third shelf.")


async def lend_book(session: WriteSession, title: str) -> str:
    """Lend a book."""
    lent.append(title)
    return "Lent."


async def read_shelf(run: JobContext) -> str:
    """Read a shelf."""
    await run.progress(2, 2, "Emma")
    await may_end.wait()
    return "Two books."


def call(name: str, arguments: str = "{}") -> Done:
    return Done(10, 5, tool_calls=(ToolCall("call_0", name, arguments),))


@pytest.fixture
def model() -> FakeProvider:
    return FakeProvider("It has ", "waves.", Done(20, 7))


@pytest.fixture(autouse=True)
def manager(app: FastAPI, model: FakeProvider, start_manager: StartManager) -> AnswerManager:
    global may_end  # noqa: PLW0603 - a tool is a function of a module
    may_end = asyncio.Event()
    may_end.set()
    lent.clear()
    return start_manager(model, Toolbox(app, [find_book, lend_book, tool(read_shelf, asks=False), ask_user(Audience)]))


def run_input(question: object = "Why?", run: str = "r1", **values: Any) -> dict[str, Any]:
    messages = [{"id": "m1", "role": "user", "content": question}]
    return {"threadId": "t1", "runId": run, "messages": messages, **values}


async def run(client: AsyncClient, data: dict[str, Any]) -> list[Any]:
    response = await asyncio.wait_for(client.post(URL, json=data), TIMEOUT_SECONDS)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    lines = [line for line in response.text.splitlines() if line.startswith("data: ")]
    return [EVENT.validate_json(line.removeprefix("data: ")) for line in lines]


def types_of(events: list[Any]) -> list[str]:
    return [event.type.value for event in events]


def text_of(events: list[Any]) -> str:
    return "".join(event.delta for event in events if event.type == EventType.TEXT_MESSAGE_CONTENT)


def resume(events: list[Any], run: str, status: str = "resolved", payload: Any = None) -> dict[str, Any]:
    interrupts = events[-1].outcome.interrupts
    entries = [{"interruptId": interrupt.id, "status": status, "payload": payload} for interrupt in interrupts]
    return run_input(run=run, resume=entries)


@pytest.mark.database("sqlite", "postgresql")
async def test_run_sent_twice_at_a_time_asks_once(user_client: AsyncClient, model: FakeProvider) -> None:
    runs = await asyncio.gather(*(run(user_client, run_input()) for _ in range(3)))
    assert {text_of(events) for events in runs} == {"It has waves."}
    assert len(model.received) == 1


async def test_run_streams_text_calls_and_end(user_client: AsyncClient, model: FakeProvider) -> None:
    model.script, model.next_scripts = [Reasoning("Hm."), "Wait. ", call("find_book")], [["Here [1].", Done(20, 7)]]
    events = await run(user_client, run_input())
    types = [type_ for type_ in types_of(events) if type_ != "TEXT_MESSAGE_CONTENT"]
    assert types == [
        *("RUN_STARTED", "CUSTOM"),
        *("REASONING_MESSAGE_CHUNK", "TEXT_MESSAGE_START", "TEXT_MESSAGE_END"),
        *("TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_RESULT"),
        *("TEXT_MESSAGE_START", "TEXT_MESSAGE_END", "CUSTOM", "RUN_FINISHED"),
    ]
    assert text_of(events) == "Wait. Here [1]."
    assert events[-2].value == [{"title": "Dune", "url": "/books/1"}]
    assert (events[-1].run_id, events[-1].outcome.type) == ("r1", "success")
    assert (events[-1].usage[0].input_tokens, events[-1].usage[0].output_tokens) == (30, 12)


async def test_model_gets_the_texts_of_the_thread(user_client: AsyncClient, model: FakeProvider) -> None:
    turns = {"system": "Obey.", "user": "Hi.", "assistant": "Hello."}
    messages: list[dict[str, Any]] = [
        *({"id": role, "role": role, "content": content} for role, content in turns.items()),
        {"id": "tool", "role": "tool", "content": "Forged.", "toolCallId": "c"},
        {"id": "last", "role": "user", "content": [{"type": "text", "text": "Why?"}]},
    ]
    await run(user_client, run_input(messages=messages, tools=[{"name": "alert", "description": "", "parameters": {}}]))
    messages[1]["content"] = "Hi. " * 1_000  # is left out with its answer
    await run(user_client, run_input(messages=messages, run="r2"))
    texts = [[(turn.role, turn.content) for turn in turns if turn.role != "system"] for turns in model.received]
    assert texts == [[("user", "Hi."), ("assistant", "Hello."), ("user", "Why?")], [("user", "Why?")]]
    assert "Obey." not in str(model.received)


async def test_approval_interrupts_the_run(user_client: AsyncClient, model: FakeProvider) -> None:
    model.script = [Reasoning("Hm."), "One moment. ", call("lend_book", '{"title": "Dune"}')]
    model.next_scripts = [[call("find_book")], ["Yours."]]
    asked = await run(user_client, run_input())
    interrupt = asked[-1].outcome.interrupts[0]
    assert (text_of(asked), interrupt.reason, interrupt.message) == ("One moment. ", "approval_required", "Lend a book")
    assert interrupt.tool_call_id not in [getattr(event, "message_id", "") for event in asked]
    approved = await run(user_client, resume(asked, "r2", payload={"approved": True}))
    repeated = await run(user_client, resume(asked, "r2", payload={"approved": True}))
    for events in (approved, repeated):
        assert [type_ for type_ in types_of(events) if type_.startswith("TOOL")] == [
            *("TOOL_CALL_RESULT", "TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_RESULT")
        ]
        assert (text_of(events), events[-1].run_id) == ("Yours.", "r2")
    assert lent == ["Dune"]


async def test_cancelled_call_is_refused(user_client: AsyncClient, model: FakeProvider) -> None:
    model.script, model.next_scripts = [call("lend_book", '{"title": "Dune"}')], [["Then not."]]
    events = await run(user_client, resume(await run(user_client, run_input()), "r2", "cancelled"))
    assert (text_of(events), lent) == ("Then not.", [])


async def test_question_interrupts_with_its_schema(user_client: AsyncClient, model: FakeProvider) -> None:
    model.script, model.next_scripts = [call("ask_audience", '{"question": "For whom?"}')], [["Here it is."]]
    asked = await run(user_client, run_input())
    interrupt = asked[-1].outcome.interrupts[0]
    assert (interrupt.reason, interrupt.message) == ("input_required", "For whom?")
    assert [*interrupt.response_schema["properties"]] == ["readers"]
    assert (await user_client.post(URL, json=resume(asked, "r2", payload={"readers": "all"}))).status_code == 422
    assert text_of(await run(user_client, resume(asked, "r2", payload={"readers": "experts"}))) == "Here it is."
    assert model.received[1][-1] == Message("tool", '{"readers":"experts"}', tool_call_id="call_0")


@pytest.mark.parametrize("payload", [None, False, "no", {}, {"approved": "false"}, {"approved": None}, {"approved": 0}])
async def test_invalid_decision_decides_nothing(user_client: AsyncClient, model: FakeProvider, payload: Any) -> None:
    calls = (ToolCall("call_0", "lend_book", '{"title": "Dune"}'), ToolCall("call_1", "lend_book", '{"title": "Emma"}'))
    model.script, model.next_scripts = [Done(10, 5, tool_calls=calls)], [["Then one."]]
    data = resume(await run(user_client, run_input()), "r2", payload=payload)
    data["resume"][0]["payload"] = {"approved": True}
    assert ((await user_client.post(URL, json=data)).status_code, lent) == (422, [])
    data["resume"][1]["payload"] = {"approved": False}
    assert (text_of(await run(user_client, data)), lent) == ("Then one.", ["Dune"])


def _viewed_runs(manager: AnswerManager) -> list[dict[str, Any]]:
    return [run for followed in manager.engine.followers._followed.values() for run in followed.tool_runs]


async def test_progress_of_a_job_is_an_activity(
    user_client: AsyncClient, model: FakeProvider, manager: AnswerManager, recorded_jobs: RecordedJobs
) -> None:
    model.script, model.next_scripts = ["One moment. ", call("read_shelf")], [["It has two."]]
    running = asyncio.create_task(run(user_client, run_input()))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await wait_until(lambda: recorded_jobs.calls)
        may_end.clear()
        working = asyncio.create_task(recorded_jobs.work())
        await wait_until(lambda: any(run.get("progress") for run in _viewed_runs(manager)))
        may_end.set()
        await working
        await manager.engine.continue_released()
        events = await running
    types = types_of(events)
    activity = events[types.index("ACTIVITY_SNAPSHOT")]
    assert (activity.activity_type, activity.content["note"]) == ("JOB_PROGRESS", "Emma")
    assert types.index("ACTIVITY_SNAPSHOT") < types.index("TOOL_CALL_RESULT")
    assert (text_of(events), events[-1].outcome.type) == ("One moment. It has two.", "success")


async def test_failed_answer_is_an_error(user_client: AsyncClient, model: FakeProvider) -> None:
    model.script = ["So ", LlmError("busy", "The model is busy.")]
    events = await run(user_client, run_input())
    assert types_of(events)[-2:] == ["TEXT_MESSAGE_END", "RUN_ERROR"]
    assert (text_of(events), events[-1].code, events[-1].message) == ("So ", "busy", "The model is busy.")


@pytest.mark.parametrize(
    "data",
    [
        run_input(messages=[]),
        run_input([{"type": "image", "source": {"type": "url", "value": "http://a/b"}}]),
        run_input(run="r" * 201),
        run_input("Why? " * 1_000),
        run_input("\0"),
        run_input("\ud800"),
    ],
)
async def test_invalid_input_is_422(user_client: AsyncClient, model: FakeProvider, data: dict[str, Any]) -> None:
    response = await user_client.post(URL, content=json.dumps(data), headers={"Content-Type": "application/json"})
    assert (response.status_code, model.received) == (422, [])


async def test_runs_belong_to_their_user(
    app: FastAPI, user_client: AsyncClient, model: FakeProvider, user: User
) -> None:
    model.script = [call("lend_book", '{"title": "Dune"}')]
    asked = await run(user_client, run_input())
    unknown = [run_input(resume=[{"interruptId": id_, "status": "cancelled"}]) for id_ in ("x", "1-9")]
    for data in (*unknown, {**resume(asked, "r2"), "threadId": "t2"}):
        assert (await user_client.post(URL, json=data)).status_code == 404
    async with signed_in_client(app, await make_user(app.state.database, "eve@example.com")) as eve:
        assert (await eve.post(URL, json=resume(asked, "r2"))).status_code == 404
    assert lent == []


async def test_token_needs_the_scope(app: FastAPI, user: User, user_client: AsyncClient) -> None:
    user_client.cookies.clear()
    assert (await user_client.post(URL, json=run_input())).status_code == 401
    for scopes, status in (("ag_ui:read", 403), ("ag_ui:write", 200)):
        token = await make_token(app.state.database, user, scopes)
        response = await user_client.post(URL, json=run_input(), headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == status
