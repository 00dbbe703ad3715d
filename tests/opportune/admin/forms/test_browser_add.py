"""The "+" beside a picker: what it lacks is made in a dialog, and chosen, in a browser."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts.models import User
from opportune.testing.factories import sign_in_browser
from opportune.testing.services.accessibility import find_violations

pytestmark = pytest.mark.database("sqlite")


@pytest.fixture
def app(app_with_novels: FastAPI) -> FastAPI:
    return app_with_novels


@pytest.fixture
async def browser_page(app: FastAPI, page: Page, superuser: User, site: str) -> Page:
    await sign_in_browser(page, app, superuser, site)
    return page


async def test_what_a_picker_lacks_is_made_in_a_dialog_and_chosen(browser_page: Page) -> None:
    await make_for_a_picker_of_many(browser_page)
    await make_for_a_picker_of_one(browser_page)


async def make_for_a_picker_of_many(page: Page) -> None:
    await page.goto("/admin/novel/create")
    await page.get_by_label("Title").fill("Dune")
    await page.get_by_role("link", name="Add Genre").click()
    dialog = page.get_by_role("dialog", name="Add Genre")
    inside = dialog.frame_locator("iframe")
    await inside.get_by_label("Name").fill("Crime")
    await inside.get_by_role("button", name="Save").click()
    await expect(inside.get_by_text("Another one already has this value.")).to_be_visible()
    assert not await find_violations(page)
    await inside.get_by_label("Name").fill("Space & <Opera>")
    await inside.get_by_role("button", name="Save").click()
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("listitem", name="Space & <Opera>")).to_be_visible()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text("“Dune” was saved.")
    await expect(page.get_by_role("link", name="Space & <Opera>")).to_be_visible()


async def make_for_a_picker_of_one(page: Page) -> None:
    """It takes the place of what was chosen."""
    await page.goto("/admin/copy/create?novel_id=1")
    await page.get_by_role("link", name="Add Novel").click()
    dialog = page.get_by_role("dialog", name="Add Novel")
    inside = dialog.frame_locator("iframe")
    await inside.get_by_label("Title").press("Escape")
    await expect(dialog).to_be_hidden()
    await page.get_by_role("link", name="Add Novel").click()
    await inside.get_by_label("Title").fill("Emma")
    await inside.get_by_role("link", name="Add Genre").click()
    nested = inside.frame_locator("iframe")
    await nested.get_by_label("Name").fill("Romance")
    await nested.get_by_role("button", name="Save").click()
    await expect(inside.get_by_role("listitem", name="Romance")).to_be_visible()
    await inside.get_by_role("button", name="Save").click()
    await expect(dialog).to_be_hidden()
    await expect(page.locator("#novel_id option:checked")).to_have_text("Emma")
