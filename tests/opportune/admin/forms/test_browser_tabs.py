"""Forms with tabs in a browser, and the accessibility of tabs, inline rows, errors and changes of other users."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Locator, Page, expect
from sqlalchemy import update

from opportune.admin.base import Inline
from opportune.testing.services.accessibility import find_violations
from tests.opportune.admin.shelf_feature import Label, Shelf, ShelfAdmin
from tests.opportune.stored_rows import add_rows, execute

EDIT = "/admin/shelf/edit/1"


@pytest.fixture
async def app(app_with_shelves: FastAPI, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(ShelfAdmin, "tabs", True)
    await add_rows(app_with_shelves, Shelf(id=1, title="Novels"), Label(shelf_id=1, text="red"))
    return app_with_shelves


def tab(page: Page, name: str) -> Locator:
    return page.get_by_role("tab", name=name)


async def test_keys_select_tabs(page: Page) -> None:
    await page.goto(EDIT)
    await expect(page.get_by_role("tabpanel", name="Name").get_by_label("Title")).to_be_visible()
    await expect(page.get_by_label("Price")).to_be_hidden()
    await tab(page, "Name").focus()
    await page.keyboard.press("ArrowRight")
    await expect(tab(page, "Looks")).to_be_focused()
    await expect(page.get_by_label("Photo")).to_be_visible()
    await page.keyboard.press("End")
    await expect(tab(page, "Labels")).to_have_attribute("aria-selected", "true")
    await expect(page.get_by_label("Text of red")).to_be_visible()
    await page.keyboard.press("ArrowRight")
    await expect(tab(page, "Name")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_label("Title")).to_be_focused()


async def test_first_tab_with_an_error_is_open(page: Page) -> None:
    await page.goto(EDIT)
    await tab(page, "Other").click()
    await page.get_by_label("Price").press_sequentially("e")
    await tab(page, "Name").click()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_label("Price")).to_be_focused()
    await page.get_by_label("Price").fill("9" * 20)
    await tab(page, "Labels").click()
    await page.get_by_label("Text of red").fill("")
    await page.get_by_label("Size of red").fill("0")
    await tab(page, "Name").click()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(tab(page, "Other 1 error")).to_have_attribute("aria-selected", "true")
    await expect(page.get_by_label("Price")).to_be_focused()
    await expect(tab(page, "Labels 2 errors")).to_be_visible()
    await expect(tab(page, "Name")).to_have_text("Name")


async def test_form_is_accessible(app: FastAPI, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ShelfAdmin, "inlines", (Inline(Label, "shelf_id", ("text", "size"), sortable="position"),))
    await page.emulate_media(color_scheme="dark")
    await page.goto(EDIT)
    await tab(page, "Labels").click()
    await page.get_by_role("button", name="Add Label").click()
    await page.get_by_label("Delete red").check()
    assert await find_violations(page) == []
    await page.get_by_label("Size of new label").fill("0")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(tab(page, "Labels 2 errors")).to_be_visible()
    assert await find_violations(page) == []
    await page.goto(EDIT)
    await tab(page, "Name").click()
    await page.get_by_label("Slug").fill("mine")
    await execute(app, update(Shelf).values(slug="other"))
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("Slug is now other (Another user). The form has your text.")
    assert await find_violations(page) == []
