"""Questions of the macro `question_form`: files, and refused questions that stay in the form."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from opportune.accounts import User
from opportune.contrib.answers.spending.switch import switch_off
from opportune.contrib.llm import FakeProvider
from tests.opportune.contrib.answers.question_page import TOPIC, app

__all__ = ["app"]  # a fixture


async def test_question_with_a_file_reaches_the_model(app: FastAPI, user_client: AsyncClient, user: User) -> None:
    app.state.llm.provider = model = FakeProvider("So.")
    files = {"attachments": ("notes.txt", b"Tides are high.", "text/plain")}
    assert 'enctype="multipart/form-data"' in (await user_client.get("/waves")).text
    response = await user_client.post("/waves", data={"question": "How high?"}, files=files)
    assert (response.status_code, response.headers["location"]) == (303, "/waves")
    newest = await app.state.answers.newest(TOPIC, user.id)
    await user_client.get(f"/api/v1/answers/{newest.answer.id}/stream")
    assert "Tides are high." in model.received[0][-1].content


async def test_question_during_an_answer_is_kept(app: FastAPI, user_client: AsyncClient) -> None:
    app.state.llm.provider = FakeProvider("So", gate := asyncio.Event())
    await user_client.post("/waves", data={"question": "One?"})
    response = await user_client.post("/waves", data={"question": "And <two>?"})
    gate.set()
    assert response.status_code == 409
    assert 'value="And &lt;two&gt;?"' in response.text
    assert "The last answer is still being written." in response.text


async def test_question_while_answers_are_switched_off_is_kept(app: FastAPI, user_client: AsyncClient) -> None:
    async with app.state.database.writer() as session:
        await switch_off(session, "root@example.com")
    response = await user_client.post("/waves", data={"question": "How high?"})
    assert response.status_code == 503
    assert 'value="How high?"' in response.text


async def test_visitor_sees_only_the_answers_of_the_same_browser(app: FastAPI, client: AsyncClient) -> None:
    app.state.llm.provider = model = FakeProvider("So.")
    await client.post("/tides", data={"question": "Mine?"})
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as other:
        await other.post("/tides", data={"question": "Yours?"})
        pages = [(await visitor.get("/tides")).text for visitor in (client, other)]
        streams = [visitor.get("/answers/1/stream") for visitor in (client, other)]
        texts = ("Mine?", "Yours?", "/rate", "data-copy=")  # visitors cannot rate or copy
        assert [[text for text in texts if text in page] for page in pages] == [["Mine?"], ["Yours?"]]
        assert ["So." in (await stream).text for stream in streams] == [True, False]
    assert not any({"Mine?", "Yours?"} <= {turn.content for turn in turns} for turns in model.received)


async def test_only_the_visitor_who_asked_stops_an_answer(app: FastAPI, client: AsyncClient) -> None:
    app.state.llm.provider = FakeProvider("So", asyncio.Event())
    await client.post("/tides", data={"question": "Mine?"})
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as other:
        assert (await other.post("/answers/1/stop")).headers["location"].startswith("/accounts/login")
    assert 'action="/answers/1/stop"' in (await client.get("/tides")).text, "it is still running"
    assert "Stopped" in (await client.post("/answers/1/stop", follow_redirects=True)).text


@pytest.mark.parametrize(
    ("question", "files"),
    [("x" * 501, {}), ("What is it?", {"attachments": ("a.bin", bytes(range(256)), "application/octet-stream")})],
)
async def test_invalid_question_is_kept(user_client: AsyncClient, question: str, files: dict[str, Any]) -> None:
    response = await user_client.post("/waves", data={"question": question}, files=files)
    assert response.status_code == 422
    assert f'value="{question}"' in response.text
    assert 'id="question-refusal" role="alert"' in response.text
