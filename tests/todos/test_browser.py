"""To-dos as their owner uses them, in Chromium."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Browser, Page, expect

from opportune.testing import make_user, sign_in_browser

# A browser shows the same with both kinds.
pytestmark = pytest.mark.database("sqlite")


async def test_one_todo_after_another_is_added_from_the_keyboard(
    chromium: Browser, page: Page, app: FastAPI, site: str
) -> None:
    await sign_in_browser(page, app, await make_user(app.state.database), site)
    await add_two_todos(page)
    async with await chromium.new_context(base_url=site, java_script_enabled=False) as context:
        page = await context.new_page()
        await sign_in_browser(page, app, await make_user(app.state.database), site)
        await add_two_todos(page)


async def add_two_todos(page: Page) -> None:
    await page.goto("/todos")
    await page.get_by_label("What is to be done?").focus()
    for count, title in enumerate(("Buy milk", "Water the plants"), 1):
        await page.keyboard.type(title)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text(f"{count} in total")
        await expect(page.get_by_role("link", name=title)).to_be_visible()
        await expect(page.get_by_label("What is to be done?")).to_be_focused()
        await expect(page.get_by_label("What is to be done?")).to_have_value("")


async def test_what_was_just_added_is_shown_whatever_was_asked_before(page: Page, app: FastAPI, site: str) -> None:
    await sign_in_browser(page, app, await make_user(app.state.database), site)
    await page.goto("/todos?q=nothing")
    await page.get_by_label("What is to be done?").fill("Buy milk")
    await page.get_by_role("button", name="Add").click()

    await expect(page.get_by_role("link", name="Buy milk")).to_be_visible()
    await expect(page.get_by_label("What is to be done?")).to_be_focused()
    await expect(page.get_by_label("Search")).to_have_value("")
    assert page.url == f"{site}/todos"
