"""Loading indicator of pages."""

import pytest
from playwright.async_api import Page, expect

# The database makes no difference in the browser.
pytestmark = pytest.mark.database("sqlite")


async def test_link_shows_loading_indicator(page: Page, site: str) -> None:
    await page.goto("/accounts/login")
    # A download keeps the browser on its page, because Playwright cannot inspect a page during navigation.
    await page.route("**/accounts/register", lambda route: route.fulfill(status=204))
    await page.get_by_role("link", name="Register").first.click(no_wait_after=True)
    await expect(page.get_by_role("progressbar", name="Loading")).to_be_visible()
