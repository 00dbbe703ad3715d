"""API of conversations: questions, streams of answers, lists; repeated and concurrent questions."""

import asyncio
import json
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import delete
from sqlmodel import col

from app.chat import service
from app.chat.models import Conversation, Message
from app.chat.schemas import MAX_QUESTION_LENGTH, MessageCreate
from opportune.accounts import User
from opportune.contrib.answers import AnswerManager, AnswerRunning, StreamEvent
from opportune.contrib.llm import FakeProvider
from opportune.errors import NotFound
from opportune.testing import make_user
from tests.chat.conversations import API, ask, make_conversation, read_messages, start_conversation, wait_until_ended


@pytest.fixture
def script(fake_llm: FakeProvider) -> FakeProvider:
    fake_llm.script = ["A scripted ", "answer."]
    return fake_llm


async def read_events(client: AsyncClient, url: str, last_event_id: str = "") -> list[dict[str, Any]]:
    response = await client.get(url, headers={"Last-Event-ID": last_event_id} if last_event_id else {})
    assert response.headers["content-type"].startswith("text/event-stream")
    events = []
    for block in response.text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if fields:
            StreamEvent.model_validate_json(fields["data"])  # as OpenAPI describes it
            events.append({**fields, "data": json.loads(fields["data"])})
    return events


def join_text(events: list[dict[str, Any]]) -> str:
    return "".join(event["data"].get("text", "") for event in events)


async def test_question_is_answered_in_a_stream(user_client: AsyncClient, script: FakeProvider) -> None:
    response = await user_client.post(API, json={"content": "  Why?  "})
    created = response.json()
    assert (response.status_code, response.headers["location"]) == (202, f"{API}/{created['conversation']}")
    assert created["message"]["text"] == "Why?"
    assert created["answer"]["parent_id"] == created["message"]["id"]
    events = await read_events(user_client, created["stream_url"])
    assert [event["event"] for event in events if event["event"] != "delta"] == ["status", "done"]
    assert join_text(events) == "A scripted answer."
    assert events[-1]["id"] == f"{created['answer']['id']}:{len('A scripted answer.')}"
    for offset in (1, 18):
        resumed = await read_events(user_client, created["stream_url"], f"{created['answer']['id']}:{offset}")
        assert join_text(resumed) == "A scripted answer."[offset:]


async def test_running_answer_is_stopped(user_client: AsyncClient, script: FakeProvider) -> None:
    script.script = ["So far", asyncio.Event()]
    created = (await user_client.post(API, json={"content": "Why?"})).json()
    url = f"{API}/{created['conversation']}"
    assert (await user_client.get(url)).json()["messages"][1]["status"] == "streaming"
    assert (await user_client.post(f"{url}/messages", json={"content": "And?"})).status_code == 409
    assert (await user_client.post(f"{url}/messages/{created['answer']['id']}/stop")).status_code == 204
    events = await read_events(user_client, created["stream_url"])
    assert (events[-1]["event"], events[-1]["data"]["status"]) == ("done", "stopped")


@pytest.mark.parametrize(
    "body",
    [
        '{"content": "   "}',
        '{"content": "ok", "client_key": "' + "k" * 65 + '"}',
        pytest.param(json.dumps({"content": "x" * (MAX_QUESTION_LENGTH + 1)}), id="too long"),
        pytest.param('{"content": "\\ud800"}', id="half of a surrogate pair"),
    ],
)
async def test_invalid_question_stores_nothing(user_client: AsyncClient, body: str) -> None:
    response = await user_client.post(API, content=body.encode(), headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert (await user_client.get(API)).json()["total"] == 0


async def test_question_sets_no_other_columns(app: FastAPI, user_client: AsyncClient, script: FakeProvider) -> None:
    other = await make_user(app.state.database)
    created = await ask(user_client, owner_id=other.id, role="assistant", status="failed")
    assert created["message"]["role"] == "user"
    assert (await user_client.get(API)).json()["total"] == 1


async def test_conversations_are_searched_and_paginated(app: FastAPI, user_client: AsyncClient, user: User) -> None:
    other = await make_user(app.state.database)
    async with app.state.database.writer() as session:
        session.add_all(Conversation(owner_id=user.id, title=title) for title in ("Bread", "Apples", "apple pie"))
        session.add(Conversation(owner_id=other.id, title="Apes"))

    async def titles(query: str) -> list[str]:
        return [item["title"] for item in (await user_client.get(f"{API}?{query}")).json()["items"]]

    assert await titles("") == ["apple pie", "Apples", "Bread"]
    assert await titles("q=APPLE&sort=-title") == ["Apples", "apple pie"]
    assert await titles("size=2&page=2") == ["Bread"]
    assert (await user_client.get(f"{API}?sort=owner_id")).status_code == 422
    page = (await user_client.get("/chat?size=2")).text
    assert "apple pie" in page
    assert "Bread" not in page
    assert 'href="?size=2&amp;page=2"' in page


@pytest.mark.database("postgresql")
async def test_one_of_parallel_questions_is_stored(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    conversation_id, answer = await start_conversation(manager, owner_id)
    await wait_until_ended(manager, answer)
    model.script = [asyncio.Event()]
    questions = [service.ask(manager, owner_id, conversation_id, MessageCreate(content=f"{i}?")) for i in range(4)]
    results = await asyncio.gather(*questions, return_exceptions=True)
    assert sum(isinstance(result, AnswerRunning) for result in results) == 3
    assert len(await read_messages(manager, owner_id, conversation_id)) == 4


@pytest.mark.database("postgresql")
@pytest.mark.parametrize("is_first", [True, False])
async def test_concurrent_repeated_key_stores_one_question(
    manager: AnswerManager, owner_id: int, model: FakeProvider, is_first: bool
) -> None:
    conversation_id, answer = await start_conversation(manager, owner_id)
    await wait_until_ended(manager, answer)
    new_message = MessageCreate(content="Again?", client_key="k1")
    target_id = None if is_first else conversation_id
    results = await asyncio.gather(*(service.ask(manager, owner_id, target_id, new_message) for _ in range(5)))
    assert len({answer.id for _, answer in results}) == 1
    await wait_until_ended(manager, results[0][1])
    assert len(model.received) == 2


async def test_repeated_question_without_its_answer_is_not_found(manager: AnswerManager, owner_id: int) -> None:
    new_message = MessageCreate(content="Again?", client_key="k1")
    _, answer = await service.ask(manager, owner_id, None, new_message)
    await wait_until_ended(manager, answer)
    async with manager.database.writer() as session:
        await session.execute(delete(Message).where(col(Message.id) == answer.id))
    with pytest.raises(NotFound):
        await service.ask(manager, owner_id, None, new_message)


async def test_messages_before_one_of_others_are_hidden(app: FastAPI, user_client: AsyncClient, user: User) -> None:
    database = app.state.database
    await make_conversation(database, (await make_user(database)).id, 2)
    conversation = await make_conversation(database, user.id, 1)
    for before in (2, 3, 4):
        page = (await user_client.get(f"{API}/{conversation}", params={"before": before})).json()
        assert page["messages"] == [], before
