"""Pages of the chat, with and without htmx."""

import asyncio
import re
from unittest.mock import AsyncMock

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.chat import service
from app.chat.conversation_view import MAX_QUESTIONS_PER_PAGE
from opportune.contrib import llm
from opportune.contrib.answers import TooManyAnswers
from opportune.contrib.llm import FakeProvider
from opportune.testing import make_user, signed_in_client
from tests.chat.conversations import make_conversation

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def script(fake_llm: FakeProvider) -> FakeProvider:
    fake_llm.script = ["A *scripted* answer."]
    return fake_llm


async def create_conversation(client: AsyncClient, question: str = "Why?") -> str:
    """Ask the first question, and return the path of its conversation."""
    response = await client.post("/chat", data={"content": question})
    assert response.status_code == 303
    return response.headers["location"]


async def stream(client: AsyncClient, page: str) -> str:
    return (await client.get(f"{page}/stream")).text


async def test_question_without_javascript(app: FastAPI, script: FakeProvider) -> None:
    async with signed_in_client(app) as client:
        page = await create_conversation(client, "<b>Why?</b>")
        await stream(client, page)
        html = (await client.get(page)).text
    assert "&lt;b&gt;Why?&lt;/b&gt;" in html
    assert "A <em>scripted</em> answer." in html
    assert "hx-sse:connect" not in html, "no stream without a running answer"

    async with signed_in_client(app) as client:
        page = await create_conversation(client)
        await client.post(f"{page}/delete")
        plain = await client.post(f"{page}/messages", data={"content": "Still there?"})
        part = await client.post(f"{page}/messages", data={"content": "Still there?"}, headers=HTMX)
    assert plain.status_code == part.status_code == 404
    assert "Still there?</textarea>" in plain.text
    assert 'hx-target="#refusal"' in part.text


async def test_reload_resumes_the_stream(app: FastAPI, script: FakeProvider) -> None:
    gate = asyncio.Event()
    script.script = ["The first half", gate, " and the second."]
    async with signed_in_client(app) as client:
        page = await create_conversation(client)
        async with asyncio.timeout(30):
            while "The first half" not in (html := (await client.get(page)).text):
                await asyncio.sleep(0)
        found = re.search(r'hx-sse:connect="([^"]+)"', html)
        assert found
        assert found[1].endswith(f":{len('The first half')}")
        assert '<meta http-equiv="refresh"' in html, "the page reloads without JavaScript"
        gate.set()
        events = (await client.get(found[1])).text
    assert "event: done" in events
    assert "The first half and the second." in events


async def test_htmx_question_returns_messages(app: FastAPI, script: FakeProvider) -> None:
    async with signed_in_client(app) as client:
        page = await create_conversation(client)
        await stream(client, page)
        last = re.search(r'name="last" value="(\d+)"', (await client.get(page)).text)
        assert last
        await client.post(f"{page}/messages", data={"content": "In the other tab?"})
        await stream(client, page)
        response = await client.post(
            f"{page}/messages", data={"content": "In this one?", "last": last[1]}, headers=HTMX
        )
    assert "Why?" not in response.text
    assert response.text.index("In the other tab?") < response.text.index("In this one?")

    async with signed_in_client(app) as client:
        page = await create_conversation(client)
        await stream(client, page)
        script.script = [asyncio.Event()]  # not answered before it is displayed
        response = await client.post(f"{page}/messages", data={"content": "Next?"}, headers=HTMX)
    assert response.status_code == 200
    assert "<html" not in response.text
    assert "Next?" in response.text
    assert f'hx-sse:connect="{page}/stream?after=' in response.text


async def test_invalid_question_shows_an_error(app: FastAPI, script: FakeProvider) -> None:
    async with signed_in_client(app) as client:
        assert 'maxlength="4000"' in (await client.get("/chat")).text
        response = await client.post("/chat", data={"content": "x" * 4_001})
    assert response.status_code == 422
    assert 'class="text-danger' in response.text.partition('id="refusal"')[2]
    assert script.received == []

    async with signed_in_client(app) as client:
        response = await client.post("/chat", data={"content": "  "})
        assert response.status_code == 422
        assert 'class="text-danger' in response.text.partition('id="refusal"')[2]
        assert 'class="chat-link' not in response.text

    async with signed_in_client(app) as client:
        response = await client.post("/chat", data={"content": "Why?", "client_key": "x" * 65})
    assert response.status_code == 422
    assert "Why?</textarea>" in response.text

    for before in ["0", "-1", "x", "9" * 30]:
        async with signed_in_client(app) as client:
            assert (await client.get(f"/chat/1?before={before}")).status_code == 422


async def test_question_during_an_answer_is_refused_until_stop(app: FastAPI, script: FakeProvider) -> None:
    script.script = [asyncio.Event()]
    async with signed_in_client(app) as client:
        page = await create_conversation(client)
        plain = await client.post(f"{page}/messages", data={"content": "And <this>?"})
        part = await client.post(f"{page}/messages", data={"content": "And this?"}, headers=HTMX)
    assert plain.status_code == part.status_code == 409
    assert "And &lt;this&gt;?</textarea>" in plain.text
    assert 'hx-target="#refusal"' in part.text

    script.script = ["So far", asyncio.Event()]
    async with signed_in_client(app) as client:
        page = await create_conversation(client)
        stop = re.search(r'action="(/chat/messages/\d+/stop)"', (await client.get(page)).text)
        assert stop
        assert (await client.post(stop[1])).status_code == 303
        assert 'class="badge' in (await client.get(page)).text

    script.script = ["So far", asyncio.Event()]
    async with signed_in_client(app) as client:
        page = await create_conversation(client, "Delete me?")
        assert (await client.post(f"{page}/delete")).headers["location"] == "/chat"
        assert "Delete me?" in (await client.get("/chat")).text
        assert (await client.get(page)).status_code == 404
        assert "Delete me?" not in (await client.get("/chat")).text
        await client.post(f"{page}/restore")
        assert 'class="badge' in (await client.get(page)).text


async def test_failed_answer_shows_error_and_retry(
    app: FastAPI, script: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.script = ["Half", llm.LlmError("timeout", "The model took too long.")]
    async with signed_in_client(app) as client:
        page = await create_conversation(client)
        await stream(client, page)
        html = (await client.get(page)).text
        assert html.count('class="chat-error') == 1
        retry = re.search(r'action="(/chat/messages/\d+/retry)"', html)
        assert retry
        with monkeypatch.context() as patch:
            patch.setattr(service, "retry", AsyncMock(side_effect=TooManyAnswers))
            refused = await client.post(retry[1], headers=HTMX)
        assert refused.status_code == 429
        script.script = ["Better."]
        assert (await client.post(retry[1])).headers["location"].startswith(f"{page}#m")
        await stream(client, page)
        html = (await client.get(page)).text
    assert "Better." in html
    assert 'class="chat-error' not in html


async def test_model_fault_is_for_superusers(app: FastAPI, script: FakeProvider) -> None:
    script.fault = "The local model needs <libgomp>: apt install libgomp1."
    boss = await make_user(app.state.database, email="boss@example.com", is_superuser=True)
    async with signed_in_client(app, boss) as superuser, signed_in_client(app) as client:
        assert "needs &lt;libgomp&gt;: apt install libgomp1." in (await superuser.get("/chat")).text
        assert "libgomp" not in (await client.get("/chat")).text

    app.state.llm.provider = None
    async with signed_in_client(app) as client:
        html = (await client.get("/chat")).text
    assert 'class="chat-examples"' not in html
    assert "LLM_" not in html


async def test_other_users_conversation_is_not_found(app: FastAPI, script: FakeProvider) -> None:
    async with signed_in_client(app) as owner:
        page = await create_conversation(owner, "Private?")
        answer = re.search(r'id="m(\d+)-open"', (await owner.get(page)).text)
        assert answer
    async with signed_in_client(app, await make_user(app.state.database)) as other_client:
        assert (await other_client.get(page)).status_code == 404
        assert (await other_client.post(f"{page}/messages", data={"content": "hi"})).status_code == 404
        assert (await other_client.post(f"{page}/delete")).status_code == 404
        assert (await other_client.post(f"/chat/messages/{answer[1]}/stop")).status_code == 404
        assert (await other_client.post(f"/chat/messages/{answer[1]}/retry")).status_code == 404
        assert "scripted" not in await stream(other_client, page)
        assert "Private" not in (await other_client.get("/chat")).text


async def test_long_conversation_is_read_by_links(app: FastAPI, script: FakeProvider) -> None:
    owner = await make_user(app.state.database)
    page = f"/chat/{await make_conversation(app.state.database, owner.id, MAX_QUESTIONS_PER_PAGE + 2)}"
    async with signed_in_client(app, owner) as client:
        newest = (await client.get(page)).text
        assert "Question 1?" not in newest
        assert "Question 2?" in newest
        earlier = re.search(r'id="earlier" href="([^"]+)" hx-get=', newest)
        assert earlier
        first = (await client.get(earlier[1])).text
        assert "Answer 1." in first
        assert "Question 2?" not in first
        assert 'id="earlier"' not in first
        assert f'chat-earlier" href="{page}">' in first
        assert "hx-post" not in first.split('id="composer"')[1], "the form loads the newest page"
        part = (await client.get(earlier[1], headers=HTMX)).text
        assert "Answer 1." in part
        assert "<html" not in part

    owner = await make_user(app.state.database)
    page = f"/chat/{await make_conversation(app.state.database, owner.id, 2)}"
    async with signed_in_client(app, owner) as client:
        last = re.search(r'name="last" value="(\d+)"', (await client.get(page)).text)
        assert last
        response = await client.post(f"{page}/messages", data={"content": "Next?", "last": last[1]}, headers=HTMX)
    assert "Next?" in response.text
    assert "Question 1?" not in response.text
