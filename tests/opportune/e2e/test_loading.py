"""Loading indicator of pages."""

import asyncio

from playwright.async_api import Page, expect

from tests.opportune.e2e.note_page import app, blocked_adding

__all__ = ["app", "blocked_adding"]  # fixtures


async def test_link_shows_loading_indicator(page: Page, site: str) -> None:
    await page.goto("/accounts/login")
    # A download keeps the browser on its page, because Playwright cannot inspect a page during navigation.
    await page.route("**/accounts/register", lambda route: route.fulfill(status=204))
    await page.get_by_role("link", name="Register").first.click(no_wait_after=True)
    await expect(page.get_by_role("progressbar", name="Loading")).to_be_visible()


async def test_empty_target_is_busy_and_shows_lines(page: Page, blocked_adding: asyncio.Event) -> None:
    style = "(({ display, animationName }) => [display, animationName])(getComputedStyle(notes, '::before'))"
    await page.emulate_media(reduced_motion="reduce")
    await page.goto("/notes")
    await page.get_by_label("Title").fill("Milk")
    await page.get_by_role("button", name="Add", exact=True).click()
    await expect(page.locator("#notes")).to_have_attribute("aria-busy", "true")
    assert await page.evaluate(style) == ["block", "none"]
    await page.emulate_media(reduced_motion="no-preference")
    assert await page.evaluate(style) == ["block", "skeleton"]
    blocked_adding.set()
    await expect(page.locator("#notes")).to_have_text("Milk")
    await expect(page.locator("[aria-busy]")).to_have_count(0)
