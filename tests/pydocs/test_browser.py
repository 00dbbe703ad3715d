"""Search in Chromium."""

import pytest
from playwright.async_api import Page, expect

from opportune.testing.services.accessibility import find_violations

pytestmark = pytest.mark.usefixtures("small_index")


async def test_typed_query_opens_by_keyboard(page: Page) -> None:
    await page.goto("/pydocs")
    await page.get_by_role("searchbox").fill("os.path.j")
    await expect(page.locator(".search-hit")).to_have_count(1)
    assert not await find_violations(page)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("os.path.join")
    assert not await find_violations(page)
