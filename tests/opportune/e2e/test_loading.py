"""The bar that shows that a page is being loaded."""

import pytest
from playwright.async_api import Page, expect

# A browser shows the same with both databases.
pytestmark = pytest.mark.database("sqlite")


async def test_link_shows_loading_indicator(page: Page, site: str) -> None:
    await page.goto("/accounts/login")
    # The browser stays on its page: Playwright says nothing about a page while another one is on its way.
    await page.route("**/accounts/register", lambda route: route.fulfill(status=204))
    await page.get_by_role("link", name="Register").first.click(no_wait_after=True)
    await expect(page.get_by_role("progressbar", name="Loading")).to_be_visible()
