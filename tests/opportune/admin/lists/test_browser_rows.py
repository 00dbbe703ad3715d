"""Rows of a list by keyboard, and texts that use the free width, in a browser."""

import re
from collections.abc import Iterable

import pytest
from playwright.async_api import Page, expect
from sqlmodel import SQLModel

from tests.opportune.admin.gadget_feature import Gadget, gadgets, make_makers
from tests.opportune.site_with import site_fixture

LIST = "/admin/gadget/list?columns=id,data,size"
MOTTO = "Word " * 40


def make_rows() -> Iterable[SQLModel]:
    return *make_makers(), *(Gadget(name=f"gadget {number}", maker_id=1, data=MOTTO) for number in range(3))


app = site_fixture(gadgets, make_rows)


@pytest.fixture
async def list_page(page: Page) -> Page:
    await page.goto(LIST)
    return page


async def test_keys_reach_select_and_open_rows(list_page: Page) -> None:
    search = list_page.get_by_role("searchbox", name="Search", exact=True)
    await search.press_sequentially("jkx")
    await expect(search).to_have_value("jkx")
    await list_page.goto(LIST)
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


async def test_long_texts_use_the_free_width(list_page: Page) -> None:
    text = list_page.locator("td .words a").first
    widths = [await text.evaluate("box => box.clientWidth")]
    await list_page.set_viewport_size({"width": 1900, "height": 800})
    widths.append(await text.evaluate("box => box.clientWidth"))
    assert widths[0] > 600
    assert widths[1] > widths[0]
    await list_page.set_viewport_size({"width": 1000, "height": 800})
    await text.hover()
    await expect(text).to_have_attribute("title", MOTTO.strip())


async def test_shift_click_selects_a_range(list_page: Page) -> None:
    await list_page.get_by_label("Select 3", exact=True).click()
    await list_page.get_by_label("Select 1", exact=True).click(modifiers=["Shift"])
    await expect(list_page.get_by_text("3 selected:")).to_be_visible()
    await list_page.get_by_label("Select 2", exact=True).click(modifiers=["Shift"])
    await expect(list_page.get_by_text("1 selected:")).to_be_visible()
