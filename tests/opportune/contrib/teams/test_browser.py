from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.contrib.teams.testing import make_team
from opportune.testing.factories import make_user, sign_in_browser
from opportune.testing.fixtures import settings
from opportune.testing.services.accessibility import find_violations

__all__ = ["settings"]  # a fixture: the site accepts any host


async def test_menu_shows_and_switches_the_current_team(app: FastAPI, page: Page, site: str) -> None:
    owner = await make_user(app.state.database, "ann@example.com", is_verified=True)
    for name in ("Press", "Second"):
        await make_team(app.state.database, owner, name=name)
    await sign_in_browser(page, app, owner, site)
    await page.goto("/privacy")
    menu = page.locator("summary", has_text="Team Second")
    await expect(menu).to_be_visible()
    await menu.click()
    await expect(page.get_by_role("link", name="Second", exact=True)).to_be_visible()
    await expect(page.get_by_role("button", name="Switch to Press")).to_be_visible()
    assert await find_violations(page) == []
