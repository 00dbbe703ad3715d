"""The command palette with the keyboard alone."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.testing.factories import make_user, sign_in_browser
from opportune.testing.services.accessibility import find_violations


@pytest.fixture
async def admin_page(page: Page, app: FastAPI, site: str, monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setattr("opportune.search.everything.MAX_SECONDS", 60)  # a busy machine leaves out sources
    await sign_in_browser(page, app, await make_user(app.state.database, "root@example.com", is_superuser=True), site)
    await page.goto("/admin/")
    return page


async def open_palette(page: Page) -> None:
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("combobox")).to_be_focused()


async def test_keyboard_opens_a_row(admin_page: Page) -> None:
    await open_palette(admin_page)
    await expect(admin_page.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    await admin_page.keyboard.type("root@")
    await expect(admin_page.get_by_role("dialog").get_by_role("status")).to_have_text("1 result")
    await admin_page.keyboard.press("Enter")
    await admin_page.wait_for_url("**/admin/user/details/1")


async def test_keys_before_the_palette_opens_are_its_text(admin_page: Page) -> None:
    await admin_page.keyboard.press("Control+k")
    await admin_page.keyboard.type("new")  # n alone adds a row
    await expect(admin_page.get_by_role("combobox")).to_have_value("new")


async def test_arrows_move_through_all_options(admin_page: Page) -> None:
    await open_palette(admin_page)
    assert not await find_violations(admin_page)
    box, options = admin_page.get_by_role("combobox"), admin_page.get_by_role("option")
    for key, option in (("ArrowDown", options.nth(1)), ("ArrowUp", options.first), ("ArrowUp", options.last)):
        await admin_page.keyboard.press(key)
        await expect(option).to_have_attribute("aria-selected", "true")
        await expect(box).to_have_attribute("aria-activedescendant", str(await option.get_attribute("id")))
    await admin_page.keyboard.type("nothing matches")
    await expect(admin_page.get_by_role("dialog").get_by_role("status")).to_have_text("No results")
    assert not await find_violations(admin_page)


async def test_enter_waits_for_the_results_and_opens_one(admin_page: Page) -> None:
    await open_palette(admin_page)
    await admin_page.keyboard.type("groups")
    await admin_page.keyboard.press("Enter")
    await admin_page.wait_for_url("**/admin/group/list")
    await open_palette(admin_page)
    await admin_page.keyboard.type("dark")
    await admin_page.keyboard.press("Enter")
    await expect(admin_page.locator("html")).to_have_attribute("data-bs-theme", "dark")


async def test_expired_session_leads_to_the_sign_in_page(page: Page, app: FastAPI, site: str) -> None:
    await sign_in_browser(page, app, await make_user(app.state.database, is_superuser=True), site)
    await page.goto("/admin/?complete=1")
    await page.context.clear_cookies()
    await page.keyboard.press("Control+k")
    await page.wait_for_url("**/accounts/login?next=%2Fadmin%2Fsearch**")
