"""Pages of the chat, with and without htmx."""

import asyncio
from unittest.mock import AsyncMock

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.chat import service
from app.chat.conversation_view import MAX_QUESTIONS_PER_PAGE
from opportune.accounts import User
from opportune.contrib import llm
from opportune.contrib.answers import TooManyAnswers
from opportune.contrib.llm import FakeProvider
from tests.chat.conversations import HTMX, find_path, make_conversation


@pytest.fixture
def script(fake_llm: FakeProvider) -> FakeProvider:
    fake_llm.script = ["A *scripted* answer."]
    return fake_llm


async def create_conversation(client: AsyncClient, question: str = "Why?") -> str:
    response = await client.post("/chat", data={"content": question})
    assert response.status_code == 303
    return response.headers["location"]


async def stream(client: AsyncClient, page: str) -> str:
    return (await client.get(f"{page}/stream")).text


async def test_question_without_javascript(user_client: AsyncClient, script: FakeProvider) -> None:
    page = await create_conversation(user_client, "<b>Why?</b>")
    await stream(user_client, page)
    html = (await user_client.get(page)).text
    assert "&lt;b&gt;Why?&lt;/b&gt;" in html
    assert "A <em>scripted</em> answer." in html
    assert "hx-sse:connect" not in html, "no stream without a running answer"


async def test_htmx_question_returns_new_messages(user_client: AsyncClient, script: FakeProvider) -> None:
    page = await create_conversation(user_client)
    await stream(user_client, page)
    last = find_path((await user_client.get(page)).text, r'(?<=name="last" value=")N')
    await user_client.post(f"{page}/messages", data={"content": "In the other tab?"})
    await stream(user_client, page)
    script.script = [asyncio.Event()]  # not answered before it is displayed
    form = {"content": "In this one?", "last": last}
    response = await user_client.post(f"{page}/messages", data=form, headers=HTMX)
    assert response.status_code == 200
    assert "<html" not in response.text
    assert "Why?" not in response.text
    assert response.text.index("In the other tab?") < response.text.index("In this one?")
    assert f'hx-sse:connect="{page}/stream?after=' in response.text


@pytest.mark.parametrize(
    ("content", "client_key", "text"), [("x" * 4_001, "", 'class="text-danger'), ("Why?", "x" * 65, "Why?</textarea>")]
)
async def test_invalid_question_shows_an_error(
    user_client: AsyncClient, script: FakeProvider, content: str, client_key: str, text: str
) -> None:
    assert 'maxlength="4000"' in (await user_client.get("/chat")).text
    response = await user_client.post("/chat", data={"content": content, "client_key": client_key})
    assert response.status_code == 422
    assert text in response.text.partition('id="refusal"')[2]
    assert 'class="chat-link' not in response.text
    assert script.received == []


@pytest.mark.parametrize(("is_deleted", "status"), [(False, 409), (True, 404)])
async def test_refused_question_stays_in_the_form(
    user_client: AsyncClient, script: FakeProvider, status: int, *, is_deleted: bool
) -> None:
    """During an answer, or in a conversation that was deleted in another tab."""
    script.script = [asyncio.Event()]
    page = await create_conversation(user_client)
    if is_deleted:
        await user_client.post(f"{page}/delete")
    plain = await user_client.post(f"{page}/messages", data={"content": "And <this>?"})
    part = await user_client.post(f"{page}/messages", data={"content": "And this?"}, headers=HTMX)
    assert (plain.status_code, part.status_code) == (status, status)
    assert "And &lt;this&gt;?</textarea>" in plain.text
    assert 'hx-target="#refusal"' in part.text


async def test_failed_answer_shows_error_and_retry(
    user_client: AsyncClient, script: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.script = ["Half", llm.LlmError("timeout", "The model took too long.")]
    page = await create_conversation(user_client)
    await stream(user_client, page)
    html = (await user_client.get(page)).text
    assert html.count('class="chat-error') == 1
    retry = find_path(html, "/chat/messages/N/retry")
    with monkeypatch.context() as patch:
        patch.setattr(service, "retry", AsyncMock(side_effect=TooManyAnswers))
        assert (await user_client.post(retry, headers=HTMX)).status_code == 429
    script.script = ["Better."]
    assert (await user_client.post(retry)).headers["location"].startswith(f"{page}#m")
    await stream(user_client, page)
    html = (await user_client.get(page)).text
    assert "Better." in html
    assert 'class="chat-error' not in html


async def test_model_fault_is_for_superusers(
    app: FastAPI, user_client: AsyncClient, superuser_client: AsyncClient, script: FakeProvider
) -> None:
    script.fault = "The local model needs <libgomp>: apt install libgomp1."
    assert "needs &lt;libgomp&gt;: apt install libgomp1." in (await superuser_client.get("/chat")).text
    assert "libgomp" not in (await user_client.get("/chat")).text
    app.state.llm.provider = None
    html = (await user_client.get("/chat")).text
    assert 'class="chat-examples"' not in html
    assert "LLM_" not in html


async def test_long_conversation_is_read_by_links(app: FastAPI, user_client: AsyncClient, user: User) -> None:
    page = f"/chat/{await make_conversation(app.state.database, user.id, MAX_QUESTIONS_PER_PAGE + 2)}"
    newest = (await user_client.get(page)).text
    assert "Question 1?" not in newest
    assert "Question 2?" in newest
    earlier = find_path(newest, r'(?<=id="earlier" href=")[^"]+(?=" hx-get=)')
    first = (await user_client.get(earlier)).text
    assert "Answer 1." in first
    assert "Question 2?" not in first
    assert 'id="earlier"' not in first
    assert f'chat-earlier" href="{page}">' in first
    assert "hx-post" not in first.split('id="composer"')[1], "the form loads the newest page"
    part = (await user_client.get(earlier, headers=HTMX)).text
    assert "Answer 1." in part
    assert "<html" not in part
