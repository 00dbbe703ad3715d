"""To-dos as their owner uses them, in Chromium."""

from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.testing import make_user, sign_in_browser

# A browser shows the same with both kinds.
pytestmark = pytest.mark.database("sqlite")


async def test_one_todo_after_another_is_added_from_the_keyboard_and_shown_whatever_was_asked_before(
    page: Page, plain_page: Page, app: FastAPI, site: str
) -> None:
    for visit in (page, plain_page):
        await sign_in_browser(visit, app, await make_user(app.state.database), site)
        await add_two_todos(visit)


async def add_two_todos(page: Page) -> None:
    await page.goto("/todos?q=nothing")
    await page.get_by_label("What is to be done?").focus()
    for count, title in enumerate(("Buy milk", "Water the plants"), 1):
        await page.keyboard.type(title)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text(f"{count} in total")
        await expect(page.get_by_role("link", name=title)).to_be_visible()
        await expect(page.get_by_label("What is to be done?")).to_be_focused()
        await expect(page.get_by_label("What is to be done?")).to_have_value("")
    await expect(page.get_by_label("Search")).to_have_value("")
    assert urlsplit(page.url)[2:4] == ("/todos", "")
