"""A question and its answer in Chromium, also by the real local model."""

import asyncio

from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.contrib.llm import FakeProvider
from opportune.testing import sign_in_browser
from opportune.testing.services.accessibility import find_violations
from tests.opportune.contrib.answers.question_page import app

__all__ = ["app"]  # a fixture


async def test_answer_in_the_browser_reload_stop_continue(
    page: Page, app: FastAPI, site: str, user: User, fake_llm: FakeProvider
) -> None:
    await sign_in_browser(page, app, user, site)
    fake_llm.script = ["The *first* part", asyncio.Event()]
    await page.goto("/waves")
    await page.get_by_label("Your question").fill("Why?")
    await page.get_by_label("Your question").press("Enter")
    answer = page.get_by_role("article", name="Answer")
    await expect(answer.locator("em")).to_have_text("first")
    await page.reload()
    await expect(answer.locator("em")).to_have_text("first")
    await answer.get_by_role("button", name="Stop").press("Enter")
    await expect(answer.get_by_text("Stopped")).to_be_visible()
    await expect(answer.get_by_role("button", name="Continue")).to_be_focused()
    fake_llm.script = [" and the rest."]
    await answer.get_by_role("button", name="Continue").click()
    await expect(answer.locator(".markdown").first).to_have_text("The first part and the rest.")
    await expect(answer.get_by_role("button", name="Continue")).to_have_count(0)
    assert not await find_violations(page)
