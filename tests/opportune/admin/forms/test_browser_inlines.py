"""Inline rows in a browser: add, remove and sort lines."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect
from sqlalchemy import select
from sqlmodel import col

from opportune.admin.base import Inline
from tests.opportune.admin.shelf_feature import Label, Shelf, ShelfAdmin
from tests.opportune.stored_rows import add_rows, read_all

EDIT = "/admin/shelf/edit/1"


@pytest.fixture
async def app(app_with_shelves: FastAPI, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(ShelfAdmin, "inlines", (Inline(Label, "shelf_id", ("text", "size"), sortable="position"),))
    texts = enumerate(("first", "second", "third"), 1)
    labels = (Label(shelf_id=1, text=text, position=position) for position, text in texts)
    await add_rows(app_with_shelves, Shelf(id=1, title="Novels"), *labels)
    return app_with_shelves


async def read_labels(app: FastAPI) -> list[str]:
    return await read_all(app, select(col(Label.text)).order_by(col(Label.position)))


async def save(page: Page) -> None:
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text("was saved.")


async def test_lines_are_sorted_and_stored(app: FastAPI, page: Page) -> None:
    await page.goto(EDIT)
    up = page.get_by_role("button", name="Move third up")
    await up.focus()
    await page.keyboard.press("Enter")
    await expect(up).to_be_focused()
    await expect(up).to_have_css("outline-style", "solid")
    await expect(page.get_by_text("Row 2 of 3")).to_be_attached()
    await expect(page.locator("tbody tr").nth(1).get_by_label("Text of third")).to_be_visible()
    handle = page.locator("[data-drag]").first
    box, last = await handle.bounding_box(), await page.locator("[data-drag]").last.bounding_box()
    assert box
    assert last
    await page.mouse.move(box["x"] + 4, box["y"] + 10)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 4, last["y"] + 30, steps=8)
    await page.mouse.up()
    await expect(page.locator("tr.is-dragged")).to_have_count(0)
    await save(page)
    assert await read_labels(app) == ["third", "second", "first"]


async def test_lines_are_added_and_removed(app: FastAPI, page: Page) -> None:
    await page.goto(EDIT)
    await expect(page.locator("tbody tr")).to_have_count(3)
    add = page.get_by_role("button", name="Add Label")
    await add.click()
    await expect(page.get_by_label("Text of new label")).to_be_focused()
    await page.keyboard.type("fourth")
    await add.click()
    await page.get_by_label("Text of new label").last.fill("fifth")
    await page.get_by_role("button", name="Remove new label").first.click()
    await page.get_by_label("Delete second").check()
    await page.get_by_label("Text of third").fill("3rd")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("was saved.")
    assert await read_labels(app) == ["first", "3rd", "fifth"]


async def test_draft_has_the_lines_of_a_refused_form(page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    await page.goto(EDIT)
    await page.get_by_label("Title").fill("Poems")
    await page.get_by_role("button", name="Add Label").click()
    await page.get_by_label("Text of new label").fill("fourth")
    await page.get_by_label("Size of new label").fill("0")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("Please enter 1 or more.")).to_be_visible()
    await page.get_by_label("Size of new label").fill("7")
    await page.goto(EDIT)
    await expect(page.get_by_label("Text of new label")).to_have_value("fourth")
    await expect(page.get_by_label("Size of new label")).to_have_value("7")
    await expect(page.get_by_label("Title")).to_have_value("Poems")
    await page.get_by_role("button", name="Discard").click()
    await expect(page.get_by_label("Title")).to_have_value("Novels")
