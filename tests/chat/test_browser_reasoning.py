"""The reasoning of a model in the chat, in Chromium."""

import asyncio

from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.contrib.llm import FakeProvider, Reasoning
from opportune.testing import sign_in_browser


async def test_growing_reasoning_is_collapsed(
    page: Page, app: FastAPI, site: str, user: User, fake_llm: FakeProvider
) -> None:
    await sign_in_browser(page, app, user, site)
    writes, ends = asyncio.Event(), asyncio.Event()
    fake_llm.script = [Reasoning("Let me <b>think</b>."), writes, Reasoning(" Yes."), "Because", ends, "."]
    await page.goto("/chat")
    await page.locator("#question").fill("Why?")
    await page.locator("#question").press("Enter")
    label, thoughts = page.get_by_text("Thinking…"), page.locator(".answer-reasoning-text")
    await expect(label).to_be_visible()
    await expect(thoughts).to_be_hidden()
    await label.click()
    await expect(thoughts).to_have_text("Let me <b>think</b>.")
    writes.set()
    await expect(page.locator("article").last).to_contain_text("Because")
    await expect(thoughts).to_have_text("Let me <b>think</b>. Yes.")
    await expect(thoughts).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("Reasoning", exact=True)).to_be_visible()
    await page.get_by_text("Reasoning", exact=True).click()
    await expect(thoughts).to_have_text("Let me <b>think</b>. Yes.")
    ends.set()
    await expect(page.get_by_text("Reasoning, 7 tokens")).to_be_visible()
    await expect(thoughts).to_be_visible()


async def test_answer_without_reasoning_has_no_fold(
    page: Page, app: FastAPI, site: str, user: User, fake_llm: FakeProvider
) -> None:
    await sign_in_browser(page, app, user, site)
    fake_llm.script = ["Because."]
    await page.goto("/chat")
    await page.locator("#question").fill("Why?")
    await page.locator("#question").press("Enter")
    await expect(page.locator("article").last).to_contain_text("Because.")
    await expect(page.locator(".answer-reasoning")).to_be_hidden()
