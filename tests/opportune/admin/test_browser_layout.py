"""Layout of the admin on a phone and a tablet, its sticky parts and its menu, in a browser."""

from typing import Any

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, ViewportSize, expect

from opportune.accounts.models import User
from opportune.admin.base import Inline
from opportune.admin.models import SavedView
from tests.opportune.admin.gadget_feature import Gadget, GadgetAdmin, Maker, MakerAdmin

LIST = "/admin/gadget/list"
PHONE: ViewportSize = {"width": 390, "height": 800}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
LONG_WORD = "Rindfleischetikettierung" * 4
PAGES = (
    *("/admin/", LIST, f"{LIST}?columns=name,size&view=1", "/admin/maker/list", "/admin/user/list", "/admin/job/list"),
    *("/admin/gadget/details/1", "/admin/maker/details/1", "/admin/gadget/edit/1", "/admin/gadget/create"),
    "/admin/gadget/views/add?size=1",
)


@pytest.fixture
async def app(app_with_gadgets: FastAPI, superuser: User) -> FastAPI:
    texts: dict[str, Any] = {"data": LONG_WORD, "story": LONG_WORD * 10, "notes": "words " * 200}
    async with app_with_gadgets.state.database.writer() as session:
        session.add_all(Gadget(name=f"gadget {number}", maker_id=1, **texts) for number in range(260))
        (await session.get_one(Maker, 1)).name = LONG_WORD[:50]
        (await session.get_one(User, superuser.id)).email = f"{'long' * 15}@{'name' * 10}.example.com"
        session.add(SavedView(owner_id=superuser.id, identity="gadget", name="x" * 60, query="size=1", is_pinned=True))
    return app_with_gadgets


@pytest.fixture
async def phone(page: Page) -> Page:
    await page.set_viewport_size(PHONE)
    return page


@pytest.fixture
async def desktop(page: Page) -> Page:
    await page.set_viewport_size(DESKTOP)
    return page


async def test_pages_do_not_scroll_sideways_on_a_phone(phone: Page) -> None:
    for path in PAGES:
        await phone.goto(path)
        assert await phone.evaluate("document.documentElement.scrollWidth") == PHONE["width"], path
        overflow = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth).length"
        assert await phone.locator(".as-cards").evaluate_all(overflow) == 0, path


async def test_rows_are_cards_on_a_phone(phone: Page) -> None:
    await phone.goto(f"{LIST}?columns=name,size")
    cell = phone.get_by_role("cell").filter(has_text="gadget 259")
    assert await cell.evaluate("cell => getComputedStyle(cell, '::before').content") == '"Name"'
    await expect(phone.get_by_role("columnheader", name="Size")).to_be_hidden()
    await phone.goto(f"{LIST}?page=5")
    pages = phone.get_by_role("navigation", name="Pages")
    assert await pages.get_by_role("link").all_inner_texts() == ["", "5", ""]
    await phone.goto(LIST)
    await phone.get_by_text("Sort", exact=True).click()
    await phone.locator(".list-panel").get_by_role("link", name="Name", exact=True).click()
    await phone.wait_for_url("**/list?sortBy=name&sort=asc")


async def test_row_actions_open_in_a_sheet(phone: Page) -> None:
    await phone.goto(LIST)
    edit = phone.get_by_role("link", name="Edit 260")
    await expect(edit).to_be_hidden()
    await phone.get_by_role("button", name="Actions for 260").click()
    await expect(edit).to_be_in_viewport(ratio=1)
    await edit.click()
    await phone.wait_for_url("**/admin/gadget/edit/260")
    await phone.get_by_role("button", name="More ways to save").click()
    await phone.get_by_role("button", name="Save and continue").click()
    await expect(phone.get_by_role("status")).to_contain_text("was saved")


async def test_bulk_bar_and_save_button_are_visible(page: Page) -> None:
    for size in (PHONE, DESKTOP):
        await page.set_viewport_size(size)
        await page.goto(f"{LIST}?columns=name,size")
        button = page.get_by_role("button", name="Polish")
        await expect(button).not_to_be_in_viewport()
        await page.get_by_label("Select 258").check()
        await expect(button).to_be_in_viewport(ratio=1)
        await page.goto("/admin/gadget/edit/1")
        await expect(page.get_by_role("button", name="Save", exact=True)).to_be_in_viewport(ratio=1)


async def test_paper_has_no_tools_and_whole_texts(page: Page) -> None:
    await page.emulate_media(media="print")
    await page.set_viewport_size({"width": 794, "height": 1123})
    await page.goto(f"{LIST}?columns=name,data")
    await expect(page.get_by_role("cell", name=LONG_WORD).first).to_be_visible()
    for tool in (".btn", ".pick", ".row-end", "input"):
        await expect(page.locator(f"main {tool}").filter(visible=True)).to_have_count(0)
    cut = "cells => cells.filter((cell) => cell.scrollWidth > cell.clientWidth).length"
    assert await page.locator("td:visible").evaluate_all(cut) == 0


async def test_related_rows_with_many_fields_fit(desktop: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = ("size", "name", "colour", "weight", "made_on", "nickname")
    monkeypatch.setattr(MakerAdmin, "inlines", (Inline(Gadget, "maker_id", columns),))
    await desktop.set_viewport_size({"width": 768, "height": 800})
    await desktop.goto("/admin/maker/edit/2")
    await desktop.get_by_role("button", name="Add Gadget").click()
    table = desktop.locator(".inline-table")
    assert await table.evaluate("table => table.scrollWidth <= table.clientWidth")
    await expect(table.get_by_label("Nickname of new gadget")).to_be_visible()


async def test_card_shows_first_fields_of_many(phone: Page) -> None:
    columns = "id,name,maker_id,spare_id,colour,state,size,weight,ratio,made_on,seen_at,data"
    await phone.goto(f"{LIST}?columns={columns}&search=gadget+259")
    last = phone.get_by_role("cell", name=LONG_WORD)
    await expect(phone.get_by_role("cell", name="gadget 259")).to_be_visible()
    await expect(last).to_be_hidden()
    await phone.get_by_text("All fields").click()
    await expect(last).to_be_visible()


async def test_many_buttons_are_a_menu_on_tablets(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GadgetAdmin, "editable", ("size",))
    await page.set_viewport_size({"width": 800, "height": 800})
    await page.goto(LIST)
    report = page.get_by_role("link", name="Report")
    await expect(report).to_be_hidden()
    await page.get_by_role("button", name="More actions").click()
    await expect(report).to_be_in_viewport(ratio=1)
