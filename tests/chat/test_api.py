"""API of conversations: questions, streams of answers, lists."""

import asyncio
import json
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.chat.conversation_view import MAX_QUESTIONS_PER_PAGE
from app.chat.models import Conversation
from app.chat.schemas import MAX_QUESTION_LENGTH
from opportune.accounts import User
from opportune.contrib import llm
from opportune.contrib.answers import StreamEvent
from opportune.contrib.llm import FakeProvider
from opportune.testing import make_user, signed_in_client
from tests.chat.conversations import make_conversation

CONVERSATIONS = "/api/v1/conversations"


@pytest.fixture
def script(fake_llm: FakeProvider) -> FakeProvider:
    fake_llm.script = ["A scripted ", "answer."]
    return fake_llm


async def read_events(client: AsyncClient, url: str, last_event_id: str = "") -> list[dict[str, Any]]:
    """Return the events of a complete stream: `event`, `id` and parsed `data`."""
    response = await client.get(url, headers={"Last-Event-ID": last_event_id} if last_event_id else {})
    assert response.headers["content-type"].startswith("text/event-stream")
    events = []
    for block in response.text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if fields:
            StreamEvent.model_validate_json(fields["data"])  # as OpenAPI describes it
            events.append({**fields, "data": json.loads(fields["data"])})
    return events


async def test_anonymous_is_refused_everywhere(client: AsyncClient) -> None:
    for method, path in [
        ("GET", ""),
        ("POST", ""),
        ("GET", "/1"),
        ("POST", "/1/messages"),
        ("GET", "/1/stream"),
        ("POST", "/1/messages/1/stop"),
    ]:
        response = await client.request(method, CONVERSATIONS + path, json={"content": "hi"})
        assert response.status_code == 401, path
        assert response.headers["content-type"] == "application/problem+json"


async def test_stream_resumes_at_any_event(app: FastAPI, script: FakeProvider) -> None:
    async with signed_in_client(app) as client:
        created = await client.post(CONVERSATIONS, json={"content": "  Why?  "})
        assert created.status_code == 202
        body = created.json()
        assert body["message"]["text"] == "Why?"
        assert body["answer"]["parent_id"] == body["message"]["id"]
        events = await read_events(client, body["stream_url"])
    assert [event["event"] for event in events if event["event"] != "delta"] == ["status", "done"]
    assert "".join(event["data"].get("text", "") for event in events) == "A scripted answer."
    assert events[-1]["id"] == f"{body['answer']['id']}:{len('A scripted answer.')}"

    async with signed_in_client(app) as client:
        first = (await client.post(CONVERSATIONS, json={"content": "One?"})).json()
        await read_events(client, first["stream_url"])
        url = first["stream_url"].removesuffix("/stream")
        second = await client.post(f"{url}/messages", json={"content": "Two?"})
        assert second.status_code == 202
        await read_events(client, second.json()["stream_url"])
        conversation = (await client.get(url)).json()
        listed = (await client.get(CONVERSATIONS)).json()
    assert [message["text"] for message in conversation["messages"]] == [
        "One?",
        "A scripted answer.",
        "Two?",
        "A scripted answer.",
    ]
    assert (listed["total"], listed["items"][0]["title"]) == (1, "One?")

    async with signed_in_client(app) as client:
        created = (await client.post(CONVERSATIONS, json={"content": "Why?"})).json()
        await read_events(client, created["stream_url"])
        for offset in (1, 18):
            events = await read_events(client, created["stream_url"], f"{created['answer']['id']}:{offset}")
            text = "".join(event["data"].get("text", "") for event in events)
            assert text == "A scripted answer."[offset:]


async def test_error_event_and_stop(app: FastAPI, script: FakeProvider) -> None:
    script.script = ["Half", llm.LlmError("timeout", "The model took too long.")]
    async with signed_in_client(app) as client:
        created = (await client.post(CONVERSATIONS, json={"content": "Why?"})).json()
        events = await read_events(client, created["stream_url"])
    assert [event["event"] for event in events].count("error") == 1
    assert events[-1]["data"]["code"] == "timeout"
    assert events[-1]["data"]["message"]

    script.script = ["So far", asyncio.Event()]
    async with signed_in_client(app) as client:
        created = (await client.post(CONVERSATIONS, json={"content": "Why?"})).json()
        url = created["stream_url"].removesuffix("/stream")
        assert (await client.get(url)).json()["messages"][1]["status"] == "streaming"
        assert (await client.post(f"{url}/messages", json={"content": "And?"})).status_code == 409
        stopped = await client.post(f"{url}/messages/{created['answer']['id']}/stop")
        assert stopped.status_code == 204
        events = await read_events(client, created["stream_url"])
    assert (events[-1]["event"], events[-1]["data"]["status"]) == ("done", "stopped")


async def test_other_users_conversation_is_not_found(app: FastAPI, script: FakeProvider) -> None:
    async with signed_in_client(app) as owner:
        created = (await owner.post(CONVERSATIONS, json={"content": "Private?"})).json()
        await read_events(owner, created["stream_url"])
    url = created["stream_url"].removesuffix("/stream")
    other_client = await make_user(app.state.database)
    async with signed_in_client(app, other_client) as client:
        assert (await client.get(url)).status_code == 404
        assert (await client.post(f"{url}/messages", json={"content": "hi"})).status_code == 404
        resumed = {"Last-Event-ID": f"{created['answer']['id']}:0"}
        assert (await client.get(created["stream_url"], headers=resumed)).status_code == 404
        assert (await client.post(f"{url}/messages/{created['answer']['id']}/stop")).status_code == 404
        assert (await client.get(CONVERSATIONS)).json()["total"] == 0


INVALID: list[Any] = [
    {},
    {"content": ""},
    {"content": "   "},
    {"content": "x" * (MAX_QUESTION_LENGTH + 1)},
    {"content": "a\0b"},
    {"content": 5},
    {"content": "ok", "client_key": "k" * 65},
    [],
]


async def test_invalid_question_stores_nothing(app: FastAPI, script: FakeProvider) -> None:
    async with signed_in_client(app) as client:
        for body in INVALID:
            assert (await client.post(CONVERSATIONS, json=body)).status_code == 422, body
        assert (await client.get(CONVERSATIONS)).json()["total"] == 0

    async with signed_in_client(app) as client:
        headers = {"Content-Type": "application/json"}
        response = await client.post(CONVERSATIONS, content=b'{"content": "\\ud800"}', headers=headers)
    assert response.status_code == 422

    other = await make_user(app.state.database)
    async with signed_in_client(app) as client:
        body = {"content": "hi", "owner_id": other.id, "role": "assistant", "status": "failed"}
        created = (await client.post(CONVERSATIONS, json=body)).json()
        assert created["message"]["role"] == "user"
        assert (await client.get(CONVERSATIONS)).json()["total"] == 1


async def test_conversations_are_searched_and_paginated(app: FastAPI) -> None:
    owner, other = await make_user(app.state.database), await make_user(app.state.database)
    async with app.state.database.writer() as session:
        for title, owner_id in [("Bread", owner.id), ("Apples", owner.id), ("apple pie", owner.id), ("Apes", other.id)]:
            session.add(Conversation(owner_id=owner_id, title=title))

    async with signed_in_client(app, owner) as client:

        async def titles(query: str) -> list[str]:
            return [item["title"] for item in (await client.get(f"{CONVERSATIONS}?{query}")).json()["items"]]

        assert await titles("") == ["apple pie", "Apples", "Bread"]
        assert await titles("q=APPLE&sort=-title") == ["Apples", "apple pie"]
        assert await titles("size=2&page=2") == ["Bread"]
        assert (await client.get(f"{CONVERSATIONS}?sort=owner_id")).status_code == 422

        page = (await client.get("/chat?size=2")).text
        assert "apple pie" in page
        assert "Bread" not in page
        assert 'href="?size=2&amp;page=2"' in page


async def test_long_conversation_starts_at_the_end(app: FastAPI) -> None:
    owner = await make_user(app.state.database)
    questions = MAX_QUESTIONS_PER_PAGE + 2
    conversation_id = await make_conversation(app.state.database, owner.id, questions)
    await make_conversation(app.state.database, owner.id, 1)  # in another conversation
    async with signed_in_client(app, owner) as client:
        url = f"{CONVERSATIONS}/{conversation_id}"
        newest = (await client.get(url)).json()
        first = (await client.get(url, params={"before": newest["earlier"]})).json()
        nothing = (await client.get(url, params={"before": first["messages"][0]["id"]})).json()
    assert len(newest["messages"]) == 2 * MAX_QUESTIONS_PER_PAGE
    created = [message["text"] for message in first["messages"] + newest["messages"] if message["role"] == "user"]
    assert created == [f"Question {number}?" for number in range(questions)]
    assert (first["earlier"], nothing["messages"], nothing["earlier"]) == (None, [], None)


async def test_new_conversation_has_a_location(app: FastAPI, user: User, fake_llm: FakeProvider) -> None:
    async with signed_in_client(app, user) as client:
        response = await client.post("/api/v1/conversations", json={"content": "Why?"})
        assert response.status_code == 202
        location = response.headers["location"]
        assert location == f"/api/v1/conversations/{response.json()['conversation']}"
        assert (await client.get(location)).json()["messages"][0]["text"] == "Why?"
