"""The banner of an impersonation in a browser."""

from httpx2 import AsyncClient
from playwright.async_api import Page, expect

from opportune.accounts.models import User
from opportune.testing.services.accessibility import find_violations
from tests.opportune.accounts.impersonation.conftest import impersonate


async def test_banner_is_visible_on_a_phone(boss_client: AsyncClient, ada: User, page: Page, site: str) -> None:
    started = await impersonate(boss_client, ada)
    cookies = [{"name": name, "value": value, "url": site} for name, value in started.cookies.items()]
    await page.context.add_cookies(cookies)  # type: ignore[arg-type]
    await page.set_viewport_size({"width": 390, "height": 300})
    await page.goto("/accounts/events")

    banner = page.get_by_role("region", name="You are signed in as another user")
    await expect(banner).to_contain_text("You are signed in as ada@example.com")
    await page.get_by_role("link").last.scroll_into_view_if_needed()
    assert await page.evaluate("scrollY"), "the page is longer than the screen"
    await expect(banner.get_by_role("button")).to_be_in_viewport(ratio=1)
    await expect(page.get_by_role("listitem").filter(has_text="A superuser signed in as you")).to_be_visible()
    assert not await find_violations(page)
