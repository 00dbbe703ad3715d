"""To-dos in Chromium."""

from urllib.parse import urlsplit

from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.testing import make_user, sign_in_browser


async def test_todos_are_added_with_the_keyboard(page: Page, app: FastAPI, site: str) -> None:
    await sign_in_browser(page, app, await make_user(app.state.database), site)
    await page.goto("/todos?q=nothing")
    field = page.locator("[name=title]")
    await field.focus()
    for count, title in enumerate(("Buy milk", "Water the plants"), 1):
        await page.keyboard.insert_text(title)
        await page.keyboard.press("Enter")
        await expect(page.locator("#board").get_by_role("status")).to_contain_text(str(count))
        await expect(page.get_by_role("link", name=title)).to_be_visible()
        await expect(field).to_be_focused()
        await expect(field).to_have_value("")
    assert await page.locator("main [name=q]").input_value() == ""
    assert urlsplit(page.url)[2:4] == ("/todos", "")
