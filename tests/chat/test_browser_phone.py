"""The chat on a phone and with the keyboard, in Chromium."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.contrib.llm import FakeProvider
from opportune.testing import make_user, sign_in_browser
from tests.chat.conversations import make_conversation

REAL_MODEL = "main a[href='/admin/llm/provider']"


async def test_header_is_sticky_on_a_phone(page: Page, app: FastAPI, site: str, user: User) -> None:
    await page.set_viewport_size({"width": 390, "height": 700})
    await sign_in_browser(page, app, user, site)
    await page.goto(f"/chat/{await make_conversation(app.state.database, user.id, 20)}")
    await expect(page.locator(".chat-header")).to_be_in_viewport()
    assert await page.evaluate("scrollY") > 0
    await page.locator(".chat-menu summary").click()
    await expect(page.locator("[action$='/share'] button")).to_be_in_viewport()


async def test_empty_chat_begins_at_its_head(chat_page: Page) -> None:
    await chat_page.set_viewport_size({"width": 390, "height": 400})
    await chat_page.goto("/chat?temporary=true")
    await chat_page.wait_for_function("document.documentElement.scrollHeight > innerHeight + 80")
    assert await chat_page.evaluate("scrollY") == 0


async def test_enter_is_a_new_line_on_touch_screens(
    page: Page, app: FastAPI, site: str, user: User, fake_llm: FakeProvider
) -> None:
    browser = page.context.browser
    assert browser
    context = await browser.new_context(
        base_url=site, viewport={"width": 390, "height": 700}, is_mobile=True, has_touch=True
    )
    page = await context.new_page()
    await sign_in_browser(page, app, user, site)
    await page.goto("/chat")
    question = page.locator("#question")
    await question.fill("One")
    await question.press("Enter")
    await question.press_sequentially("two")
    await expect(question).to_have_value("One\ntwo")
    await page.locator("#send").click()
    await expect(page.locator(".chat-question")).to_have_text("One\ntwo")
    await context.close()


@pytest.mark.parametrize("width", [390, 1280])
async def test_slash_goes_to_the_search(chat_page: Page, width: int) -> None:
    await chat_page.set_viewport_size({"width": width, "height": 700})
    await chat_page.locator("#question").fill("1")
    await chat_page.locator("#question").press("/")
    await expect(chat_page.locator("#question")).to_have_value("1/")
    await chat_page.locator("#question").blur()
    await chat_page.keyboard.press("/")
    await expect(chat_page.locator("main [name=q]")).to_be_focused()


async def test_toy_offers_examples_and_superusers_a_real_model(
    page: Page, app: FastAPI, site: str, fake_llm: FakeProvider
) -> None:
    fake_llm.is_toy, fake_llm.script = True, ["Paris."]
    boss = await make_user(app.state.database, email="boss@example.com", is_superuser=True)
    await sign_in_browser(page, app, boss, site)
    await page.goto("/chat")
    await expect(page.locator(REAL_MODEL)).to_be_visible()
    example = page.locator(".chat-examples button").first
    question = await example.inner_text()
    await example.click()
    await expect(page.locator(".chat-question")).to_have_text(question)
    await expect(page.locator("article").last).to_contain_text("Paris.")


async def test_real_model_is_not_called_a_toy(chat_page: Page) -> None:
    await expect(chat_page.locator("#question")).to_be_visible()
    await expect(chat_page.locator(REAL_MODEL)).to_have_count(0)
