"""Prompts in the question field, with htmx, without JavaScript and in Chromium."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.contrib.assistants import Prompt
from opportune.testing import Make, signed_in_client
from tests.chat.conversations import HTMX

LETTER = "Write a {{tone:friendly|formal}} letter to {{name}}."


@pytest.fixture
async def prompt(make: Make, user: User) -> Prompt:
    return await make(Prompt, name="Letter", text=LETTER, owner_id=user.id)


async def start(client: AsyncClient) -> int:
    number: int = (await client.post("/api/v1/conversations", json={"content": "Why?"})).json()["conversation"]
    return number


async def test_list_finds_prompts(user_client: AsyncClient, prompt: Prompt, make: Make, user: User) -> None:
    await make(Prompt, name="Poem", text="Rhyme.", owner_id=user.id)
    page = await user_client.get("/chat/prompts?q=lett")
    assert f'href="/chat/prompts/{prompt.id}"' in page.text
    assert "Poem" not in page.text
    part = await user_client.get("/chat/prompts", headers=HTMX)
    assert "Letter" in part.text
    assert "<html" not in part.text


async def test_form_asks_for_variables(user_client: AsyncClient, prompt: Prompt) -> None:
    for headers in ({}, HTMX):
        page = await user_client.get(f"/chat/prompts/{prompt.id}", headers=headers)
        assert page.text.count('name="variable_0"') == 1
        assert '<option value="formal">' in page.text
        assert 'name="variable_1"' in page.text


async def test_question_is_filled_with_and_without_htmx(user_client: AsyncClient, prompt: Prompt) -> None:
    number = await start(user_client)
    values = {"variable_0": "formal", "variable_1": "Ada"}
    page = await user_client.post(f"/chat/prompts/{prompt.id}?conversation_id={number}", data=values)
    assert ">Write a formal letter to Ada.</textarea>" in page.text
    assert f'action="/chat/{number}/messages"' in page.text
    part = await user_client.post(f"/chat/prompts/{prompt.id}", data=values | {"variable_1": "<b>"}, headers=HTMX)
    assert part.text.strip() == "<p hidden data-prompt>Write a formal letter to &lt;b&gt;.</p>"


async def test_missing_value_is_refused(user_client: AsyncClient, prompt: Prompt) -> None:
    response = await user_client.post(f"/chat/prompts/{prompt.id}", data={"variable_0": "rude"})
    assert response.status_code == 422
    assert 'id="variable_0-error"' in response.text
    assert 'id="variable_1-error"' in response.text


async def test_conversation_of_others_is_not_shown(app: FastAPI, user_client: AsyncClient, prompt: Prompt) -> None:
    async with signed_in_client(app) as stranger:
        number = await start(stranger)
    values = {"variable_0": "formal", "variable_1": "Ada"}
    page = await user_client.post(f"/chat/prompts/{prompt.id}?conversation_id={number}", data=values)
    assert 'action="/chat"' in page.text
    assert "Why?" not in page.text


@pytest.fixture
async def chat_page(chat_page: Page, prompt: Prompt, make: Make, user: User) -> Page:
    await make(Prompt, name="Poem", text="Rhyme about tea.", owner_id=user.id)
    return chat_page


async def test_slash_inserts_a_prompt(chat_page: Page) -> None:
    question, panel = chat_page.locator("#question"), chat_page.locator("#prompts")
    await question.press("/")
    await expect(panel.locator("#prompt-search")).to_be_focused()
    await panel.locator("#prompt-search").fill("lett")
    await expect(panel.get_by_text("Poem")).to_have_count(0)
    await panel.get_by_text("Letter").click()
    await panel.locator("[name=variable_0]").select_option("formal")
    await panel.locator("[name=variable_1]").fill("Ada")
    await panel.locator("button.btn-primary").click()
    await expect(question).to_have_value("Write a formal letter to Ada.")
    await expect(question).to_be_focused()
    await expect(panel).to_be_empty()
