"""Questions suggested after the newest answer."""

import json
import re
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.contrib.llm import FakeProvider, LlmError
from opportune.testing import RecordedJobs, signed_in_client
from tests.chat.conversations import API, ask, find_path

QUESTIONS = ["Which whales sing?", "How <loud>?"]


@pytest.fixture
def _no_follow_ups() -> None:
    """Suggest questions, which the fixture of conftest.py turns off."""


async def suggested(client: AsyncClient, url: str) -> list[list[str]]:
    return [message["follow_ups"] for message in (await client.get(url)).json()["messages"]]


async def test_newest_answer_gets_suggestions(
    user_client: AsyncClient, fake_llm: FakeProvider, recorded_jobs: RecordedJobs
) -> None:
    url = (await ask(user_client, "Do whales sing?"))["url"]
    await ask(user_client, "Why do whales sing?", f"{url}/messages")
    fake_llm.script = [json.dumps(QUESTIONS)]
    await recorded_jobs.work()
    assert len(fake_llm.received) == 3, "one call for the newest answer, none for the other"
    assert "Why do whales sing?\n\nA scripted answer." in fake_llm.received[-1][-1].content
    assert await suggested(user_client, url) == [[], [], [], QUESTIONS]
    page = url.replace(API, "/chat")
    html = (await user_client.get(page)).text
    assert re.findall(r'<button class="btn btn-sm" name="content" value="([^"]+)"', html) == [
        "Which whales sing?",
        "How &lt;loud&gt;?",
    ]
    answer = await user_client.post(f"{page}/messages", data={"content": QUESTIONS[0], "last": "2"})
    assert answer.status_code == 303
    assert "chat-follow-ups" not in (await user_client.get(page)).text


@pytest.mark.parametrize("script", [["not a list"], [LlmError("timeout", "Too slow.")], ['["a\\u0007"]']])
async def test_unusable_reply_suggests_nothing(
    user_client: AsyncClient, fake_llm: FakeProvider, recorded_jobs: RecordedJobs, script: list[Any]
) -> None:
    url = (await ask(user_client, "Why do whales sing?"))["url"]
    fake_llm.script = script
    await recorded_jobs.work()
    assert await suggested(user_client, url) == [[], []]


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
