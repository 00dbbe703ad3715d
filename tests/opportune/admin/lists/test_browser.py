"""Lists in a browser: columns, rows by keyboard and pointer, layout on a desktop, a phone and paper."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect
from sqlalchemy import select
from sqlmodel import col

from tests.opportune.admin.gadget_feature import Colour, Gadget, gadgets, make_makers
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import read_one

COLUMNS = "/admin/gadget/list?columns=name,size,state"
ROWS = "/admin/gadget/list?columns=id,data,size&size=7"
TEXTS: dict[str, Any] = {
    "nickname": "two\nlines",
    "story": "\nfirst empty\n\nlast empty\n",
    "data": "from\r\nWindows",
    "notes": "two\rlines",
}
app = site_fixture(
    gadgets,
    lambda: [
        *make_makers(),
        *(Gadget(name=f"long {number}", maker_id=1, size=7, data="Word " * 40) for number in range(3)),
        *(Gadget(name=f"red {number}", maker_id=1) for number in range(26)),
        Gadget(name="blue", maker_id=1, colour=Colour.DEEP_BLUE, **TEXTS),
    ],
)


async def test_keyboard_save_returns_to_the_filtered_list(app: FastAPI, page: Page) -> None:
    await page.goto("/admin/gadget/list?search=blue")
    await page.get_by_title("Edit").first.click()
    await page.get_by_label("Seen at").fill("2026-11-20 16:05:00")
    await page.keyboard.press("Control+s")
    await expect(page.get_by_role("status")).to_contain_text("was saved")
    await expect(page.locator("tbody tr"), "the list is still filtered").to_have_count(1)
    saved = await read_one(app, select(Gadget).where(col(Gadget.name) == "blue"))
    assert saved.seen_at
    assert saved.seen_at.isoformat() == "2026-11-20T16:05:00+00:00"
    assert {name: getattr(saved, name) for name in TEXTS} == TEXTS, "untouched fields are unchanged"
    await page.goto("/admin/gadget/list?colour=red&size=1&maker_id=1&maker_id=2")
    await page.get_by_role("combobox", name="Maker", exact=True).click()
    await expect(
        page.get_by_role("option", name="100% Ltd"), "rows are offered before anything is typed"
    ).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("link", name="Maker: Acme"), "the filters stay selected").to_be_visible()
    await expect(page.get_by_role("link", name="Maker: 100% Ltd")).to_be_visible()
    await page.get_by_label("Select all rows on this page").check()
    await expect(page.get_by_text("25 selected:")).to_be_visible()
    await page.get_by_label("All 26 that match").check()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(page.get_by_text("Delete 26 gadgets?")).to_be_visible()


async def test_arrow_keys_move_a_column(page: Page) -> None:
    await page.goto(COLUMNS)
    await page.get_by_text("Columns", exact=True).click()
    handle = page.get_by_role("button", name="Move State")
    await page.keyboard.press("Escape")
    await expect(handle).to_be_hidden()
    await expect(page.locator("summary", has_text="Columns")).to_be_focused()
    await page.get_by_text("Columns", exact=True).click()
    await handle.press("ArrowUp")
    await expect(handle).to_be_focused()
    await handle.press("ArrowUp")
    await page.get_by_role("checkbox", name="Size").uncheck()
    await page.get_by_role("button", name="Apply").last.click()
    await page.wait_for_url("**/list?columns=state%2Cname")


async def test_pointer_drags_a_column(page: Page) -> None:
    await page.goto(COLUMNS)
    await page.get_by_text("Columns", exact=True).click()
    await page.get_by_role("button", name="Move Name").hover()
    await page.mouse.down()
    box = await page.get_by_role("button", name="Move State").bounding_box()
    assert box
    await page.mouse.move(box["x"] + 5, box["y"] + box["height"] - 2, steps=10)
    await page.mouse.up()
    await page.get_by_role("button", name="Apply").last.click()
    await page.wait_for_url("**/list?columns=size%2Cstate%2Cname")


@pytest.fixture
async def list_page(page: Page) -> Page:
    await page.goto(ROWS)
    return page


async def test_keys_reach_select_and_open_rows(list_page: Page) -> None:
    search = list_page.get_by_role("searchbox", name="Search", exact=True)
    await search.press_sequentially("jkx")
    await expect(search).to_have_value("jkx")
    await list_page.goto(ROWS)
    await list_page.keyboard.press("?")
    await expect(list_page.get_by_role("dialog", name="Keys")).to_contain_text("Next and previous row")
    await list_page.keyboard.press("Escape")
    for key in ("j", "j", "j", "k"):
        await list_page.keyboard.press(key)
    await expect(list_page.get_by_role("link", name="2", exact=True)).to_be_focused()
    await list_page.keyboard.press("x")
    await expect(list_page.get_by_label("Select 2")).to_be_checked()
    await list_page.keyboard.press("Enter")
    await expect(list_page).to_have_url(re.compile("/admin/gadget/details/2"))


async def test_shift_click_selects_a_range(list_page: Page) -> None:
    await list_page.get_by_label("Select 3", exact=True).click()
    await list_page.get_by_label("Select 1", exact=True).click(modifiers=["Shift"])
    await expect(list_page.get_by_text("3 selected:")).to_be_visible()
    await list_page.get_by_label("Select 2", exact=True).click(modifiers=["Shift"])
    await expect(list_page.get_by_text("1 selected:")).to_be_visible()
