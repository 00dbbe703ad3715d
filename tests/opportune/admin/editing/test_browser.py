"""Cells of a list in a browser, with mouse and keyboard."""

from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts.models import User
from opportune.testing.factories import sign_in_browser
from tests.opportune.admin.editing.pages import LIST, read_part


async def test_cells_are_edited_by_keyboard_and_mouse(app: FastAPI, page: Page, superuser: User, site: str) -> None:
    await sign_in_browser(page, app, superuser, site)
    await page.goto(f"{LIST}?search=bolt")
    await page.get_by_role("button", name="Edit Price of 1").press("Enter")
    price = page.get_by_role("spinbutton", name="Price")
    await expect(price).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(price).to_have_count(0)
    await expect(page.get_by_role("button", name="Edit Price of 1"), "the focus returns").to_be_focused()

    await page.get_by_role("button", name="Edit Name of 1").press("Enter")
    name = page.get_by_role("textbox", name="Name")
    await name.fill("nut")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("This value is already in use.")).to_be_visible()
    await expect(name).to_have_value("nut")
    await expect(name).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(name).to_have_count(0)

    await page.get_by_role("button", name="Edit Price of 1").press("Enter")
    await price.fill("2.50")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Price of “bolt” was saved.")).to_be_visible()
    await expect(page.get_by_role("cell", name="2.50")).to_be_visible()
    await expect(page.get_by_role("button", name="Edit Price of 1")).to_be_focused()
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_text("Price of “bolt” was restored.")).to_be_visible()
    assert (await read_part(app)).price == 1

    await page.get_by_role("cell", name="New").click()
    await page.get_by_role("combobox", name="State").select_option("used")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("State of “bolt” was saved.")).to_be_visible()
    await page.get_by_role("button", name="Edit Maker of 1").click()
    await page.locator(".select2-container--open .select2-search__field").fill("100")
    await page.get_by_role("option", name="100% Ltd").click()
    await expect(page.get_by_role("link", name="100% Ltd")).to_be_visible()
    assert (await read_part(app)).maker_id == 2
    assert page.url.endswith("?search=bolt")
