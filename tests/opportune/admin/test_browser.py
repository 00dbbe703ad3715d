"""What only a browser shows: what it does to texts, and what pickers offer."""

from typing import Any

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts.models import User
from opportune.testing.factories import sign_in_browser
from tests.opportune.admin.gadget_feature import Gadget

# A browser shows the same with both kinds.
pytestmark = pytest.mark.database("sqlite")

TEXTS: dict[str, Any] = {
    "nickname": "two\nlines",
    "story": "\nfirst empty\n\nlast empty\n",
    "motto": "from\r\nWindows",
    "notes": "two\rlines",
}


@pytest.fixture
def app(app_with_gadgets: FastAPI) -> FastAPI:
    return app_with_gadgets


@pytest.fixture
async def browser_page(app: FastAPI, page: Page, superuser: User, site: str) -> Page:
    await sign_in_browser(page, app, superuser, site)
    async with app.state.database.writer() as session:
        session.add(Gadget(name="first", maker_id=1, **TEXTS))
    return page


async def test_saving_keeps_the_texts_that_nobody_touched_and_a_picker_offers_rows_before_anything_is_typed(
    app: FastAPI, browser_page: Page
) -> None:
    await browser_page.goto("/admin/gadget/edit/1")
    await browser_page.locator("#select2-spare_id-container").click()
    await expect(browser_page.get_by_role("option", name="100% Ltd")).to_be_visible()
    await browser_page.keyboard.press("Escape")
    await browser_page.get_by_label("Name", exact=True).fill("renamed")
    await browser_page.get_by_role("button", name="Save", exact=True).click()
    await expect(browser_page.get_by_text("was saved")).to_be_visible()
    async with app.state.database.reader() as session:
        gadget = await session.get_one(Gadget, 1)
    assert gadget.name == "renamed"
    assert {name: getattr(gadget, name) for name in TEXTS} == TEXTS
