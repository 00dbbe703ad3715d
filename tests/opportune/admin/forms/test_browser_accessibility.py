"""Accessibility of forms with tabs, inline rows, errors and changes of other users."""

from typing import Literal

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect
from sqlalchemy import update

from opportune.admin.base import Inline
from opportune.testing.services.accessibility import find_violations
from tests.opportune.admin.shelf_feature import Label, Shelf, ShelfAdmin
from tests.opportune.stored_rows import add_rows, execute

EDIT = "/admin/shelf/edit/1"


@pytest.fixture
async def app(app_with_shelves: FastAPI, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(ShelfAdmin, "tabs", True)
    monkeypatch.setattr(ShelfAdmin, "inlines", (Inline(Label, "shelf_id", ("text", "size"), sortable="position"),))
    await add_rows(app_with_shelves, Shelf(id=1, title="Novels"), Label(shelf_id=1, text="red"))
    return app_with_shelves


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_form_is_accessible(app: FastAPI, page: Page, scheme: Literal["light", "dark"]) -> None:
    await page.emulate_media(color_scheme=scheme)
    await page.goto(EDIT)
    await page.get_by_role("tab", name="Labels").click()
    await page.get_by_role("button", name="Add Label").click()
    await page.get_by_label("Delete red").check()
    assert await find_violations(page) == []
    await page.get_by_label("Size of new Label").fill("0")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("tab", name="Labels 2 errors")).to_be_visible()
    assert await find_violations(page) == []
    await page.goto(EDIT)
    await page.get_by_role("tab", name="Name").click()
    await page.get_by_label("Slug").fill("mine")
    await execute(app, update(Shelf).values(slug="other"))
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("Slug is now other (Another user). The form has your text.")
    assert await find_violations(page) == []
