"""Two answers side by side, in Chromium."""

import asyncio

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.config.settings import Settings
from opportune.contrib.llm import FakeProvider
from opportune.testing import sign_in_browser
from opportune.testing.services.accessibility import find_violations
from tests.chat.conversations import ask_in_browser, make_two_models

ARTICLE = "#messages > article"


@pytest.fixture
async def models(
    page: Page, app: FastAPI, site: str, user: User, settings: Settings
) -> tuple[FakeProvider, FakeProvider]:
    """The models Fast and Sharp, whose answers the test scripts. A user is signed in in the browser."""
    models = FakeProvider("A fast answer."), FakeProvider("A sharp answer.")
    app.state.llm = app.state.answers.resources.llm = make_two_models(settings, *models)
    await sign_in_browser(page, app, user, site)
    await page.goto("/chat")
    await page.locator(".chat-options summary").click()
    await page.get_by_label("Compare with").select_option("Sharp")
    await page.locator(".chat-options summary").click()
    return models


@pytest.mark.parametrize(("width", "is_beside"), [(390, False), (1280, True)])
async def test_columns_grow_and_one_is_chosen(
    page: Page, models: tuple[FakeProvider, FakeProvider], *, width: int, is_beside: bool
) -> None:
    end = asyncio.Event()
    models[0].script = ["A fast ", end, "answer."]
    await page.set_viewport_size({"width": width, "height": 800})
    await ask_in_browser(page, "Why?")
    columns = page.locator(".chat-column")
    await expect(columns.nth(1)).to_contain_text("A sharp answer.")
    await expect(columns.nth(0)).to_contain_text("A fast")
    end.set()
    await expect(columns.nth(0)).to_contain_text("A fast answer.")
    await expect(page.locator("#send")).to_be_visible()
    boxes = [await columns.nth(index).bounding_box() for index in (0, 1)]
    assert boxes[0]
    assert boxes[1]
    assert (boxes[1]["y"] == boxes[0]["y"]) == is_beside
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert not await find_violations(page)

    await columns.nth(1).get_by_role("button", name="Continue with this answer").click()
    await expect(columns.nth(1)).to_contain_text("The conversation continues with this answer")
    await ask_in_browser(page, "And?")
    await expect(page.locator(ARTICLE)).to_have_count(5)
    await expect(page.locator(ARTICLE).nth(1)).to_contain_text("A sharp answer.")
    await expect(columns).to_have_count(2)
    await page.reload()
    await expect(page.locator(ARTICLE)).to_have_count(5)
    await expect(page.locator(ARTICLE).nth(1)).to_contain_text("A sharp answer.")


async def test_each_column_has_its_stop(page: Page, models: tuple[FakeProvider, FakeProvider]) -> None:
    for model in models:
        model.script = ["So far", asyncio.Event()]
    await ask_in_browser(page, "Why?")
    columns = page.locator(".chat-column")
    await columns.nth(0).get_by_role("button", name="Stop").click()
    await expect(columns.nth(0).locator(".badge", has_text="Stopped")).to_be_visible()
    await expect(columns.nth(1).locator(".chat-running")).to_be_visible()
    await page.reload()
    await expect(columns.nth(1).locator(".chat-running")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(columns.nth(1).locator(".badge", has_text="Stopped")).to_be_visible()
    await expect(page.locator("#send")).to_be_visible()
