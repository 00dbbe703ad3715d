"""Questions suggested after the newest answer."""

import json
import re
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from playwright.async_api import Page, expect

from app.chat import hooks
from app.chat.jobs import choose_questions
from opportune.contrib.llm import FakeProvider, LlmError
from opportune.testing import RecordedJobs, signed_in_client
from tests.chat.conversations import API, ask, ask_in_browser, find_path

QUESTIONS = ["Which whales sing?", "How <loud>?"]


@pytest.fixture
def _no_follow_ups() -> None:
    """Suggest questions, which the fixture of conftest.py turns off."""


async def suggested(client: AsyncClient, url: str) -> list[list[str]]:
    return [message["follow_ups"] for message in (await client.get(url)).json()["messages"]]


async def test_newest_answer_gets_suggestions(
    user_client: AsyncClient, fake_llm: FakeProvider, recorded_jobs: RecordedJobs
) -> None:
    url = (await ask(user_client, "Why do whales sing?"))["url"]
    fake_llm.script = [json.dumps(QUESTIONS)]
    await recorded_jobs.work()
    assert "Why do whales sing?\n\nA scripted answer." in fake_llm.received[-1][-1].content
    assert await suggested(user_client, url) == [[], QUESTIONS]
    page = url.replace(API, "/chat")
    html = (await user_client.get(page)).text
    assert re.findall(r'<button class="btn btn-sm" name="content" value="([^"]+)"', html) == [
        "Which whales sing?",
        "How &lt;loud&gt;?",
    ]
    answer = await user_client.post(f"{page}/messages", data={"content": QUESTIONS[0], "last": "2"})
    assert answer.status_code == 303
    assert "chat-follow-ups" not in (await user_client.get(page)).text


@pytest.mark.parametrize(
    "script", [["not a list"], [json.dumps({"a": 1})], [LlmError("timeout", "Too slow.")], ["[]"], ['["a\\u0007"]']]
)
async def test_unusable_reply_suggests_nothing(
    user_client: AsyncClient, fake_llm: FakeProvider, recorded_jobs: RecordedJobs, script: list[Any]
) -> None:
    url = (await ask(user_client, "Why do whales sing?"))["url"]
    fake_llm.script = script
    await recorded_jobs.work()
    assert await suggested(user_client, url) == [[], []]


def test_first_short_different_questions_are_chosen() -> None:
    assert choose_questions([" A? ", "A?", "", "x" * 151, "two\nlines", "B?", "C?", "D?"]) == ["A?", "B?", "C?"]


async def test_continued_conversation_gets_no_suggestions(
    user_client: AsyncClient, fake_llm: FakeProvider, recorded_jobs: RecordedJobs
) -> None:
    url = (await ask(user_client, "Why do whales sing?"))["url"]
    await ask(user_client, "And?", f"{url}/messages")
    calls = len(fake_llm.received)
    await recorded_jobs.work()
    assert len(fake_llm.received) == calls + 1, "only for the second answer"


async def test_stopped_answer_and_constant_queue_nothing(
    user_client: AsyncClient, fake_llm: FakeProvider, recorded_jobs: RecordedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_llm.script = [LlmError("timeout", "Too slow.")]
    await ask(user_client)
    monkeypatch.setattr(hooks, "MAX_FOLLOW_UPS", 0)
    fake_llm.script = ["An answer."]
    await ask(user_client)
    assert recorded_jobs.names == []


async def test_page_polls_until_there_are_suggestions(
    app: FastAPI, user_client: AsyncClient, fake_llm: FakeProvider, recorded_jobs: RecordedJobs
) -> None:
    url = (await ask(user_client, "Why do whales sing?"))["url"]
    page = url.replace(API, "/chat")
    poll = find_path((await user_client.get(f"{page}/stream")).text, r"/chat/messages/N/follow-ups\?tries=1")
    assert "tries=2" in (await user_client.get(poll)).text
    assert (await user_client.get(poll.replace("=1", "=4"))).text == ""
    fake_llm.script = [json.dumps(QUESTIONS)]
    await recorded_jobs.work()
    html = (await user_client.get(poll)).text
    assert 'hx-target="#follow-ups"' in html
    assert QUESTIONS[0] in html
    async with signed_in_client(app) as other:
        assert (await other.get(poll)).status_code == 404
    await ask(user_client, "And?", f"{url}/messages")
    assert (await user_client.get(poll)).text == "", "the conversation has continued"


async def test_click_asks_the_suggested_question(
    chat_page: Page, fake_llm: FakeProvider, recorded_jobs: RecordedJobs
) -> None:
    await ask_in_browser(chat_page, "Why?")
    await expect(chat_page.get_by_text("A scripted answer.")).to_be_visible()
    await expect(chat_page.locator("#send")).to_be_visible()
    fake_llm.script = [json.dumps(QUESTIONS)]
    await recorded_jobs.work()
    await chat_page.reload()  # on a busy machine, the page has stopped asking for them
    await chat_page.get_by_role("button", name=QUESTIONS[0]).click()
    await expect(chat_page.locator(".chat-question")).to_have_text(["Why?", QUESTIONS[0]])
    await expect(chat_page.locator(".chat-follow-ups")).to_have_count(0)
