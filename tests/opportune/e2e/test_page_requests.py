"""Requests of a page: with a loading indicator, and sent once."""

import asyncio

from playwright.async_api import Browser, Page, expect

from tests.opportune.e2e.note_page import app, blocked_adding, titles

__all__ = ["app", "blocked_adding"]  # fixtures


async def test_no_response_of_the_site_is_reported_in_view(chromium: Browser, site: str) -> None:
    async with await chromium.new_context(base_url=site) as context:  # its console shows the lost connection
        page = await context.new_page()
        await page.goto("/notes")
        await page.evaluate("content.style.paddingTop = '200vh'")
        await page.get_by_label("Title").fill("Milk")
        await context.set_offline(True)
        await page.get_by_role("button", name="Add", exact=True).click()
        notice = page.get_by_text("The server does not respond.")
        await expect(notice).to_be_in_viewport(ratio=1)
        await context.set_offline(False)
        await page.keyboard.press("Enter")
        await expect(page.locator("#notes")).to_have_text("Milk")
        await expect(notice).to_be_hidden()
        bad_gateway = {"status": 502, "content_type": "text/html", "body": "<html>Bad Gateway</html>"}
        await page.route("/notes", lambda route: route.fulfill(**bad_gateway))
        await page.keyboard.press("Enter")
        await expect(notice).to_be_visible()
        await expect(page.locator("#notes")).to_have_text("Milk")


async def test_enter_twice_adds_one_note(page: Page, blocked_adding: asyncio.Event) -> None:
    await page.goto("/notes")
    button = page.get_by_role("button", name="Add")
    await page.get_by_label("Title").fill("Milk")
    await page.keyboard.press("Enter")
    await expect(button).to_be_disabled()
    await expect(button).to_have_attribute("aria-busy", "true")
    await expect(page.get_by_role("progressbar", name="Loading")).to_be_visible()
    await page.keyboard.press("Enter")
    blocked_adding.set()
    await expect(page.get_by_text("Milk")).to_have_count(1)
    await expect(button).to_be_enabled()
    await expect(page.locator(".loading-bar")).to_be_hidden()
    assert titles == ["Milk"]
    await page.get_by_label("Title").fill("Milk")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Milk")).to_have_count(2)
    assert titles == ["Milk", "Milk"], "the same note can be added again"


async def test_enter_twice_without_javascript_adds_one(plain_page: Page, blocked_adding: asyncio.Event) -> None:
    await plain_page.goto("/notes")
    await plain_page.get_by_label("Title").fill("Milk")
    for _ in range(2):
        async with plain_page.expect_request(lambda request: request.method == "POST"):
            await plain_page.keyboard.press("Enter")
    blocked_adding.set()
    await expect(plain_page.get_by_text("Milk")).to_have_count(1)
    assert titles == ["Milk"]
