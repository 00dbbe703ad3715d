"""The reasoning of a model in the chat, in Chromium."""

import asyncio

from playwright.async_api import Page, expect

from opportune.contrib.llm import FakeProvider, Reasoning
from tests.chat.conversations import ask_in_browser


async def test_growing_reasoning_is_collapsed(chat_page: Page, fake_llm: FakeProvider) -> None:
    writes, ends = asyncio.Event(), asyncio.Event()
    fake_llm.script = [Reasoning("Let me <b>think</b>."), writes, Reasoning(" Yes."), "Because", ends, "."]
    await ask_in_browser(chat_page, "Why?")
    label, thoughts = chat_page.get_by_text("Thinking…"), chat_page.locator(".answer-reasoning-text")
    await expect(label).to_be_visible()
    await expect(thoughts).to_be_hidden()
    await label.click()
    await expect(thoughts).to_have_text("Let me <b>think</b>.")
    writes.set()
    await expect(chat_page.locator("article").last).to_contain_text("Because")
    await expect(thoughts).to_have_text("Let me <b>think</b>. Yes.")
    await expect(thoughts).to_be_visible()
    await chat_page.reload()
    await expect(chat_page.get_by_text("Reasoning", exact=True)).to_be_visible()
    await chat_page.get_by_text("Reasoning", exact=True).click()
    await expect(thoughts).to_have_text("Let me <b>think</b>. Yes.")
    ends.set()
    await expect(chat_page.get_by_text("Reasoning, 7 tokens")).to_be_visible()
    await expect(thoughts).to_be_visible()


async def test_answer_without_reasoning_has_no_fold(chat_page: Page, fake_llm: FakeProvider) -> None:
    fake_llm.script = ["Because."]
    await ask_in_browser(chat_page, "Why?")
    await expect(chat_page.locator("article").last).to_contain_text("Because.")
    await expect(chat_page.locator(".answer-reasoning")).to_be_hidden()
