"""The mark above the first message that the model read for the newest answer."""

import re

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.contrib.llm import FakeProvider, LanguageModel
from opportune.testing import sign_in_browser
from tests.chat.conversations import ask_in_browser, make_conversation

TEXT = "did not read the messages above"


@pytest.fixture
async def number(app: FastAPI, user: User, fake_llm: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> int:
    """Id of a conversation of six questions, of which the model can read the newest ones."""
    monkeypatch.setattr(LanguageModel, "context_budget", 60)
    return await make_conversation(app.state.database, user.id, 6)


async def test_mark_is_above_the_first_message_that_was_read(
    user_client: AsyncClient, number: int, fake_llm: FakeProvider
) -> None:
    await user_client.post(f"/chat/{number}/messages", data={"content": "And now?"})
    await user_client.get(f"/chat/{number}/stream")
    read = [turn.content for turn in fake_llm.received[-1] if turn.role == "user"]
    assert 1 < len(read) < 7
    html = (await user_client.get(f"/chat/{number}")).text
    assert html.count(TEXT) == 1
    following = html[html.index(TEXT) :]
    assert re.findall(r'<div class="chat-question">([^<]+)', following) == read


async def test_complete_conversation_has_no_mark(app: FastAPI, user: User, user_client: AsyncClient) -> None:
    number = await make_conversation(app.state.database, user.id, 3)
    assert TEXT not in (await user_client.get(f"/chat/{number}")).text


async def test_mark_appears_with_the_question(page: Page, app: FastAPI, site: str, user: User, number: int) -> None:
    await sign_in_browser(page, app, user, site)
    await page.goto(f"/chat/{number}")
    for question in ("One more?", "And one more?"):
        await ask_in_browser(page, question)
        await expect(page.locator(".chat-question").last).to_have_text(question)
        await expect(page.locator("#send")).to_be_visible()
        await expect(page.get_by_text(TEXT).locator("visible=true")).to_have_count(1)
