"""Approval of changing tools by the user, also days later and after restarts."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import AsyncMock

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy.exc import OperationalError

from opportune.accounts import User
from opportune.contrib.answers import Answer, AnswerManager, AnswerRunning
from opportune.contrib.answers.engine import store
from opportune.contrib.answers.engine.decisions import ToolNotAllowed
from opportune.contrib.answers.engine.tool_runs import RESULT_UNKNOWN, answer_turns, fail_interrupted_calls
from opportune.contrib.llm import Done, FakeProvider, Message, ToolCall
from opportune.contrib.tools import Toolbox
from opportune.db import WriteSession, utc_now
from opportune.testing import make_token, signed_in_client
from tests.opportune.contrib.answers import questions
from tests.opportune.contrib.answers.waiting_answers import StartManager, ask_until_waiting

LEND_DUNE = ToolCall("call_0", "lend_book", '{"loan": {"book_title": "Dune <1>", "days": 14}}')
LEND_EMMA = ToolCall("call_1", "lend_book", '{"loan": {"book_title": "Emma"}}')
FIND = ToolCall("call_2", "find_book", "{}")
NOT_ALLOWED = "The user has not allowed this call."
Restart = Callable[[], AnswerManager]

lent_titles: list[str] = []
may_lend = asyncio.Event()


async def lend_book(session: WriteSession, loan: dict[str, Any]) -> str:
    """Lend a book."""
    await may_lend.wait()
    lent_titles.append(loan["book_title"])
    return "Lent."


async def find_book() -> str:
    """Look for the book."""
    return "Third shelf."


def request_calls(*calls: ToolCall) -> Done:
    return Done(10, 5, tool_calls=calls)


@pytest.fixture
def librarian() -> FakeProvider:
    return FakeProvider.in_turn(["One moment. ", request_calls(LEND_DUNE)], ["It is **yours**.", Done(20, 7)])


@pytest.fixture
def restart(app: FastAPI, librarian: FakeProvider, start_manager: StartManager) -> Restart:
    return lambda: start_manager(librarian, Toolbox(app, [find_book, lend_book]))


@pytest.fixture
def manager(restart: Restart) -> AnswerManager:
    global may_lend  # noqa: PLW0603 - a tool is a function of a module
    may_lend = asyncio.Event()
    may_lend.set()
    lent_titles.clear()
    return restart()


async def decide(manager: AnswerManager, answer: Answer, call: int = 0, *, ok: bool = True, rest: bool = False) -> None:
    async with manager.database.writer() as session:
        await (manager.approve(session, answer, call, rest=rest) if ok else manager.refuse(session, answer, call))


async def test_approval_on_the_page_continues_the_answer(app: FastAPI, manager: AnswerManager, user: User) -> None:
    answer = await ask_until_waiting(manager, user)
    path = f"/answers/{answer.id}"
    async with signed_in_client(app, user) as client, asyncio.timeout(questions.TIMEOUT_SECONDS):
        page = (await client.get(path)).text
        assert "Allow this action? Lend a book" in page
        assert ">Book title</dt><dd>Dune &lt;1&gt;</dd>" in page
        assert 'http-equiv="refresh"' not in page, "a reload would interrupt reading the arguments"
        assert (await client.get(f"/api/v1{path}")).json()["tool_runs"][0]["approval"] == "waiting"
        streaming = asyncio.create_task(client.get(f"{path}/stream"))
        referer = {"Referer": "http://testserver/accounts/profile"}
        approval = await client.post(f"{path}/approve", data={"call": 0}, headers=referer)
        assert (approval.status_code, approval.headers["location"]) == (303, "/accounts/profile")
        streamed = (await streaming).text
        page = (await client.get(path)).text
    assert "event: done" in streamed
    assert "It is <strong>yours</strong>." in page
    assert "Allow this action?" not in page
    assert lent_titles == ["Dune <1>"]
    stored = await questions.find(manager, answer.id)
    assert (stored.text, stored.status) == ("One moment. It is **yours**.", "done")
    assert (stored.prompt_tokens, stored.completion_tokens, stored.usage_estimated) == (30, 12, False)


async def test_approval_shows_all_arguments(manager: AnswerManager, user: User, librarian: FakeProvider) -> None:
    hidden = json.dumps({"loan": {"book_title": "Dune\u202e\u200b\U000e0041\nx", "except": [], "to\u2066": {}}})
    librarian.script = [request_calls(ToolCall("call_0", "lend_book", hidden))]
    run = (await ask_until_waiting(manager, user)).tool_runs[0]
    title = "Dune\\u202e\\u200b\\U000e0041\nx"
    assert run["details"] == [["Book title", title], ["Except", "none"], ["To\\u2066", "none"]]


async def test_model_continues_after_a_refusal(manager: AnswerManager, user: User, librarian: FakeProvider) -> None:
    answer = await ask_until_waiting(manager, user)
    await decide(manager, answer, ok=False)
    assert (await questions.wait_until_ended(manager, answer)).status == "done"
    call = Message("assistant", "One moment. ", tool_calls=(LEND_DUNE,))
    assert librarian.received[1][1:] == [call, Message("tool", NOT_ALLOWED, tool_call_id="call_0")]
    assert not lent_titles


async def test_repeated_approval_elsewhere_runs_once(
    user_client: AsyncClient, manager: AnswerManager, user: User, restart: Restart
) -> None:
    answer = await ask_until_waiting(manager, user)
    await manager.engine.close()
    other = restart()
    await other.engine.take_over([await questions.find(other, answer.id)])
    assert (await questions.find(other, answer.id)).is_waiting, "a starting process does not take over waiting answers"
    approvals = [user_client.post(f"/answers/{answer.id}/approve", data={"call": 0}) for _ in range(3)]
    assert {response.status_code for response in await asyncio.gather(*approvals)} == {303}
    assert (await questions.wait_until_ended(other, answer)).text == "One moment. It is **yours**."
    assert lent_titles == ["Dune <1>"]


async def test_expired_approval_counts_as_refused(manager: AnswerManager, user: User, librarian: FakeProvider) -> None:
    decided_late = await ask_until_waiting(manager, user)
    long_ago = utc_now() - timedelta(seconds=1)
    await questions.set_values(manager, decided_late, lease_until=long_ago)
    await decide(manager, decided_late)
    assert (await questions.wait_until_ended(manager, decided_late)).tool_runs[0]["result"] == NOT_ALLOWED
    vars(manager.llm)["provider"] = FakeProvider.in_turn([request_calls(LEND_DUNE)], ["Then not."])
    answer = await ask_until_waiting(manager, user)
    await questions.set_values(manager, answer, lease_until=long_ago)
    assert (await manager.shown(await questions.find(manager, answer.id))).answer.status == "streaming"
    stored = await questions.wait_until_ended(manager, answer)
    assert (stored.text, stored.tool_runs[0]["approval"], lent_titles) == ("Then not.", "refused", [])


async def test_approval_may_allow_the_rest(manager: AnswerManager, user: User, librarian: FakeProvider) -> None:
    again = ToolCall("call_0", "lend_book", '{"loan": {"book_title": "Ada"}}')
    librarian.script = [request_calls(FIND, LEND_DUNE, LEND_EMMA)]
    librarian.next_scripts = [[request_calls(again)], ["All yours."]]
    answer = await ask_until_waiting(manager, user)
    assert [run["result"] for run in answer.tool_runs] == [None] * 3, "calls without approval also wait"
    await decide(manager, answer, 0)  # which needs no approval
    await decide(manager, answer, 1, ok=False)
    assert (await questions.find(manager, answer.id)).is_waiting
    await decide(manager, answer, 2, rest=True)
    stored = await questions.wait_until_ended(manager, answer)
    assert (stored.text, lent_titles) == ("All yours.", ["Emma", "Ada"])
    assert {run["arguments"]: run["result"] for run in stored.tool_runs}[LEND_DUNE.arguments] == NOT_ALLOWED
    received = [turn.content for turn in librarian.received[1] if turn.role == "tool"]
    assert received == ["Third shelf.", NOT_ALLOWED, "Lent."]


async def test_change_runs_once(manager: AnswerManager, user: User, librarian: FakeProvider, restart: Restart) -> None:
    answer = await ask_until_waiting(manager, user)
    may_lend.clear()
    await decide(manager, answer)
    await questions.wait_for_progress(manager, answer, lambda progress: progress.answer.tool_runs[0]["has_begun"])
    await questions.kill_process(manager, answer)
    may_lend.set()
    other = restart()
    stored = await questions.wait_until_ended(other, await questions.find(other, answer.id))
    assert (stored.status, stored.tool_runs[0]["result"], lent_titles) == ("done", RESULT_UNKNOWN, [])
    assert librarian.received[-1][-1] == Message("tool", RESULT_UNKNOWN, tool_call_id="call_0")


def test_interrupted_search_is_repeated_once() -> None:
    run = {"name": "find_book", "result": None, "has_begun": True}
    repeated = fail_interrupted_calls([run], changing_tools=(), text_length=0)
    assert repeated[0]["result"] is None
    assert fail_interrupted_calls(repeated, changing_tools=(), text_length=0)[0]["result"] == RESULT_UNKNOWN


async def test_unrecorded_call_is_lost(manager: AnswerManager, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = await ask_until_waiting(manager, user)
    fault = OperationalError("", {}, Exception("away"))
    monkeypatch.setattr(store, "save_tool_runs", AsyncMock(side_effect=fault))
    await decide(manager, answer)
    assert ((await questions.wait_until_ended(manager, answer)).error_code, lent_titles) == ("database", [])


async def test_stopped_answer_drops_its_call(manager: AnswerManager, user: User, librarian: FakeProvider) -> None:
    answer = await ask_until_waiting(manager, user)
    await manager.stop(answer)
    stopped = await questions.find(manager, answer.id)
    assert (stopped.status, stopped.text) == ("stopped", "One moment. ")
    await decide(manager, stopped)
    assert (await questions.find(manager, answer.id)).status == "stopped"
    assert (await questions.resume(manager, stopped)).status == "done"
    assert librarian.received[1][-1] == Message("tool", NOT_ALLOWED, tool_call_id="call_0")
    assert not lent_titles


async def test_approval_needs_the_scope(app: FastAPI, client: AsyncClient, manager: AnswerManager, user: User) -> None:
    answer = await ask_until_waiting(manager, user)
    async with manager.database.writer() as session:
        with pytest.raises(ToolNotAllowed, match="it needs the scope write"):
            await manager.within("read").approve(session, answer, 0)
    token = await make_token(app.state.database, user, "write read")
    headers = {"Authorization": f"Bearer {token}"}
    path = f"/api/v1/answers/{answer.id}/approve"
    assert (await client.post(path, json={"call": -1}, headers=headers)).status_code == 422
    assert (await client.post(path, json={"call": 0})).status_code == 401
    approved = await client.post(path, json={"call": 0}, headers=headers)
    assert (approved.json()["status"], approved.json()["tool_runs"][0]["approval"]) == ("streaming", "allowed")
    assert (await questions.wait_until_ended(manager, await questions.find(manager, answer.id))).status == "done"
    async with signed_in_client(app) as stranger:
        assert (await stranger.post(f"/answers/{answer.id}/refuse", data={"call": 0})).status_code == 404


async def test_fields_of_the_endpoint_outlive_the_approval(
    user_client: AsyncClient, manager: AnswerManager, user: User, librarian: FakeProvider, restart: Restart
) -> None:
    returned = {"origin": "here", "message": {"reasoning_content": "Hm."}, "call": {"extra_content": "sig"}}
    end = {"origin": "here", "message": {"reasoning_content": "Ah."}}
    librarian.origin = "here"
    librarian.script = [request_calls(replace(LEND_DUNE, returned=returned))]
    librarian.next_scripts = [["It is yours.", Done(20, 7, returned=end)]]
    answer = await ask_until_waiting(manager, user)
    await manager.engine.close()
    restarted = restart()
    await decide(restarted, answer)
    await questions.wait_until_ended(restarted, answer)
    assert librarian.received[-1][-2].tool_calls[0].returned == returned
    stored = await questions.find(restarted, answer.id)
    turns = answer_turns(stored, "here")
    assert [(turn.role, turn.content) for turn in turns[1:]] == [("tool", "Lent."), ("assistant", "It is yours.")]
    assert (turns[0].tool_calls[0].returned, turns[2].returned) == (returned, end)
    assert [turn.content for turn in answer_turns(stored, "elsewhere")] == ["It is yours."]
    assert "Hm." not in (await user_client.get(f"/api/v1/answers/{answer.id}")).text


async def test_waiting_answer_blocks_its_topic(manager: AnswerManager, user: User, librarian: FakeProvider) -> None:
    for number in range(4):
        librarian.script, librarian.next_scripts = [request_calls(LEND_DUNE)], []
        await ask_until_waiting(manager, user, f"books:{number}")
    with pytest.raises(AnswerRunning):
        await ask_until_waiting(manager, user, "books:1")
