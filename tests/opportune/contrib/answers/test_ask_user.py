"""Questions of a model to the user, answered with a form, also days later and after restarts."""

import json
from typing import Literal

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import BaseModel, Field

from opportune.accounts import User
from opportune.contrib.answers import Answer, AnswerManager
from opportune.contrib.llm import Done, FakeProvider, Message, ToolCall
from opportune.contrib.tools import Toolbox, ask_user
from tests.opportune.contrib.answers.questions import find
from tests.opportune.contrib.answers.waiting_answers import StartManager, ask_until_waiting, end

ASK = ToolCall("call_0", "ask_audience", '{"question": "For <whom>?"}')


class Audience(BaseModel):
    """Ask for whom the page is."""

    readers: Literal["beginners", "experts"]
    max_words: int = Field(default=500, ge=100)


@pytest.fixture
def writer() -> FakeProvider:
    return FakeProvider.in_turn(["Gladly. ", Done(10, 5, tool_calls=(ASK,))], ["Here it is.", Done(20, 7)])


@pytest.fixture
def manager(app: FastAPI, writer: FakeProvider, start_manager: StartManager) -> AnswerManager:
    return start_manager(writer, Toolbox(app, [ask_user(Audience)]))


@pytest.fixture
async def answer(manager: AnswerManager, user: User) -> Answer:
    return await ask_until_waiting(manager, user)


async def test_reply_on_the_page_continues_the_answer(
    user_client: AsyncClient, manager: AnswerManager, answer: Answer, writer: FakeProvider, start_manager: StartManager
) -> None:
    await manager.engine.close()
    restarted = start_manager(writer, manager.toolbox)
    path = f"/answers/{answer.id}/reply/0"
    assert "For &lt;whom&gt;?" in (await user_client.get(f"/answers/{answer.id}")).text
    assert 'name="max_words"' in (await user_client.get(path)).text
    invalid = await user_client.post(path, data={"readers": "experts", "max_words": "5"})
    assert (invalid.status_code, 'value="5"' in invalid.text) == (422, True)
    replied = await user_client.post(path, data={"readers": "experts", "max_words": "200"})
    assert (replied.status_code, replied.headers["location"]) == (303, f"/answers/{answer.id}")
    ended = await end(restarted, answer)
    assert (ended.status, ended.text) == ("done", "Gladly. Here it is.")
    reply = Message("tool", '{"readers":"experts","max_words":200}', tool_call_id="call_0")
    assert writer.received[1][-1] == reply
    assert (await user_client.get(path)).headers["location"] == f"/answers/{answer.id}", "the call waits no longer"


async def test_first_reply_of_the_api_counts(user_client: AsyncClient, manager: AnswerManager, answer: Answer) -> None:
    path = f"/api/v1/answers/{answer.id}/reply"
    run = (await user_client.get(f"/api/v1/answers/{answer.id}")).json()["tool_runs"][0]
    assert (run["result_from"], [*run["form"]["properties"]]) == ("user", ["readers", "max_words"])
    invalid = await user_client.post(path, json={"call": 0, "values": {"readers": "all"}})
    assert (invalid.status_code, invalid.json()["errors"][0]["field"]) == (422, ["readers"])
    for readers in ("beginners", "experts"):
        assert (await user_client.post(path, json={"call": 0, "values": {"readers": readers}})).status_code == 200
    assert json.loads((await end(manager, answer)).tool_runs[0]["result"])["readers"] == "beginners"


async def test_reply_with_invalid_unicode_is_refused(user_client: AsyncClient, answer: Answer) -> None:
    body, headers = rb'{"call": 0, "values": {"readers": "\ud800"}}', {"Content-Type": "application/json"}
    response = await user_client.post(f"/api/v1/answers/{answer.id}/reply", content=body, headers=headers)
    assert response.json()["errors"] == [{"field": ["values"], "message": "Must be valid Unicode."}]


async def test_only_a_form_answers_a_question(user_client: AsyncClient, manager: AnswerManager, answer: Answer) -> None:
    assert (await user_client.post(f"/api/v1/answers/{answer.id}/approve", json={"call": 0})).status_code == 200
    assert (await find(manager, answer.id)).is_waiting
    path = f"/answers/{answer.id}/reply"
    assert [(await user_client.get(f"{path}/{call}")).status_code for call in (-1, 1)] == [404, 404]
