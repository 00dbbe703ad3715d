"""Cells of a list in a browser, with mouse and keyboard."""

import asyncio

from fastapi import FastAPI
from playwright.async_api import Page, Route, expect

from opportune.testing.services.accessibility import find_violations
from tests.opportune.admin.editing.parts_feature import LIST, read_part


async def test_cells_are_edited_by_keyboard_and_mouse(app: FastAPI, page: Page) -> None:
    await page.goto(f"{LIST}?search=bolt")
    await page.get_by_role("button", name="Edit Price of 1").press("Enter")
    price = page.get_by_role("spinbutton", name="Price", exact=True)
    await expect(price).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(price).to_have_count(0)
    await expect(page.get_by_role("button", name="Edit Price of 1"), "the focus returns").to_be_focused()
    await page.get_by_role("button", name="Edit Name of 1").press("Enter")
    name = page.get_by_role("textbox", name="Name", exact=True)
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
    await expect(page.get_by_text("Undone: 1 part.")).to_be_visible()
    assert (await read_part(app)).price == 1
    await page.get_by_role("cell", name="New").click()
    await page.get_by_role("combobox", name="State", exact=True).select_option("used")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("State of “bolt” was saved.")).to_be_visible()
    await page.get_by_role("button", name="Edit Maker of 1").click()
    await page.get_by_role("cell").get_by_role("combobox", name="Maker").fill("100")
    await page.get_by_role("option", name="100% Ltd").click()
    await expect(page.get_by_role("link", name="100% Ltd")).to_be_visible()
    assert (await read_part(app)).maker_id == 2
    assert page.url.endswith("?search=bolt")


async def test_keys_save_a_cell_and_open_the_next(app: FastAPI, page: Page) -> None:
    await page.goto(LIST)
    price = page.get_by_role("spinbutton", name="Price", exact=True)
    await page.get_by_role("button", name="Edit Price of 1").focus()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("button", name="Edit Price of 2")).to_be_focused()
    await page.keyboard.press("ArrowUp")
    widths = "heads => heads.map((head) => Math.round(head.getBoundingClientRect().width))"
    before = await page.locator("thead th").evaluate_all(widths)
    await page.keyboard.press("Enter")
    await expect(price).to_be_focused()
    assert await page.locator("thead th").evaluate_all(widths) == before
    for text, key, row in (("2", "Enter", "nut"), ("3", "Shift+Enter", "bolt"), ("4", "Shift+Tab", "bolt")):
        await page.keyboard.type(text)
        await page.keyboard.press(key)
        name = "State" if key == "Shift+Tab" else "Price"
        control = page.get_by_role("row").filter(has_text=row).get_by_label(name, exact=True)
        await expect(control).to_be_focused()
    assert [(await read_part(app, pk)).price for pk in (1, 2)] == [4, 3]


async def press_early(page: Page, button: str, *keys: str) -> None:
    """Open a cell, and press keys before the server sends it."""
    are_pressed = asyncio.Event()

    async def respond_late(route: Route) -> None:
        await are_pressed.wait()
        await route.continue_()

    await page.route("**/cell/**", respond_late)
    await page.goto(LIST)
    await page.get_by_role("button", name=button).press("Enter")
    for key in keys:
        await page.keyboard.press(key)
    are_pressed.set()


async def test_keys_wait_for_the_next_cell(app: FastAPI, page: Page) -> None:
    keys = "9 Control+a 1 2 Enter 3 4 6 Backspace 5 Shift+Enter 6 ArrowLeft 7"
    await press_early(page, "Edit Price of 1", *keys.split())
    await expect(page.get_by_role("spinbutton", name="Price", exact=True)).to_have_value("6")
    assert [(await read_part(app, pk)).price for pk in (1, 2)] == [12, 345]


async def test_early_characters_may_need_altgr(page: Page) -> None:
    await page.add_init_script("KeyboardEvent.prototype.getModifierState = (key) => key === 'AltGraph'")
    await press_early(page, "Edit Name of 1", "a", "Control+Alt+@", "b")  # as on Windows
    await expect(page.get_by_role("textbox", name="Name", exact=True)).to_have_value("a@b")


async def test_yes_and_no_change_at_one_click(app: FastAPI, page: Page) -> None:
    await page.goto(LIST)
    assert await find_violations(page) == []
    switch = page.get_by_role("switch", name="Ready of 1")
    await switch.click()
    await expect(switch).to_be_checked()
    await expect(switch).to_be_focused()
    assert (await read_part(app)).is_ready
    await page.get_by_role("button", name="Undo").click()
    await expect(switch).not_to_be_checked()


async def test_cells_of_a_spreadsheet_are_pasted(app: FastAPI, page: Page) -> None:
    await page.goto(LIST)
    cell = page.get_by_role("button", name="Edit Price of 1")
    paste = """(cell, text) => {
      const clipboardData = new DataTransfer();
      clipboardData.setData("text/plain", text);
      cell.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    }"""
    await cell.evaluate(paste, "5\tyes\nmany\tno")
    await expect(page.get_by_text("Save all")).to_be_visible()
    wrong = page.get_by_role("textbox", name="Price of nut").or_(page.get_by_role("spinbutton", name="Price of nut"))
    await expect(wrong).to_have_attribute("aria-invalid", "true")
    await wrong.fill("6")
    await page.get_by_text("Save all").click()
    await expect(page.get_by_text("Changed 2 parts.")).to_be_visible()
    assert [(await read_part(app, pk)).price for pk in (1, 2)] == [5, 6]
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_text("Undone: 2 parts.")).to_be_visible()
