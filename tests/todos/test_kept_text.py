"""A text that is sent after the session has ended."""

from urllib.parse import parse_qs, urlsplit

from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.testing import sign_in_browser


async def test_notice_disappears_when_the_text_is_saved(page: Page, app: FastAPI, site: str, superuser: User) -> None:
    await sign_in_browser(page, app, superuser, site)
    await page.goto("/todos")
    title = page.locator("main [name=title]").first
    await title.fill("Milk")
    await page.context.clear_cookies()
    await title.press("Enter")
    await page.wait_for_url("**/accounts/login?**")
    await sign_in_browser(page, app, superuser, site)
    await page.goto(parse_qs(urlsplit(page.url).query)["next"][0])
    await expect(title).to_have_value("Milk")
    await expect(page.locator("#kept-form")).to_be_visible()
    await title.press("Enter")
    await expect(page.locator("#board").get_by_text("Milk")).to_be_visible()
    await expect(page.locator("#kept-form")).to_have_count(0)
