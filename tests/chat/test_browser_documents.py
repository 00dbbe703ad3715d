"""A document beside the conversation, in Chromium."""

import asyncio

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.contrib.llm import FakeProvider
from opportune.testing import sign_in_browser
from opportune.testing.services.accessibility import find_violations
from tests.chat.conversations import ask_in_browser, make_conversation

PANEL, TEXT = "#document", "#document textarea[name=text]"


@pytest.fixture
async def script(app: FastAPI, page: Page, site: str, user: User, fake_llm: FakeProvider) -> FakeProvider:
    """The model. A document is open in the browser."""
    await sign_in_browser(page, app, user, site)
    await page.goto(f"/chat/{await make_conversation(app.state.database, user.id, 1)}")
    await page.locator("[action$='/document'] button").click()
    await expect(page.locator(TEXT)).to_have_value("Answer 0.")
    return fake_llm


async def ask_for_change(page: Page, instruction: str) -> None:
    await page.locator("#document [name=instruction]").fill(instruction)
    await page.locator("#document [name=instruction]").press("Enter")


@pytest.mark.parametrize("width", [390, 768, 1280])
async def test_model_changes_the_document(page: Page, script: FakeProvider, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    end = asyncio.Event()
    script.script = ["# Better", end]
    await ask_for_change(page, "Improve it")
    await expect(page.locator(f"{PANEL} .markdown h1")).to_have_text("Better")
    end.set()
    await expect(page.locator(TEXT)).to_have_value("# Better")
    await expect(page.locator("#document-versions")).to_contain_text("2")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert not await find_violations(page)


async def test_texts_of_user_and_model_both_stay(page: Page, script: FakeProvider) -> None:
    end = asyncio.Event()
    script.script = ["From the model", end]
    await ask_for_change(page, "Improve it")
    await expect(page.locator(f"{PANEL} .answer")).to_contain_text("From the model")
    await page.locator(TEXT).fill("From the user")
    end.set()
    await expect(page.locator(f"{PANEL} .invalid-feedback")).to_be_visible()
    await expect(page.locator(TEXT)).to_have_value("From the user")
    await page.locator(f"{PANEL} .btn-primary").first.click()
    await expect(page.locator("#document-versions")).to_contain_text("3")
    await page.locator("#document-versions").click()
    await page.locator(f"{PANEL} .chat-versions a").nth(1).click()
    await expect(page.locator(TEXT)).to_have_value("From the model")


async def test_question_beside_a_document(page: Page, script: FakeProvider) -> None:
    await page.locator(TEXT).fill("Not saved yet")
    script.script = ["An answer."]
    await ask_in_browser(page, "And?")
    await expect(page.locator("article").last).to_contain_text("An answer.")
    await expect(page.locator(TEXT)).to_have_value("Not saved yet")
