"""Field widgets and the time zone of the browser."""

import re

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect
from sqlalchemy import select

from opportune.accounts import User
from opportune.testing.factories import sign_in_browser
from tests.opportune.fields.samples_feature import Sample


@pytest.fixture
async def browser_page(app: FastAPI, page: Page, site: str, superuser: User) -> Page:
    await sign_in_browser(page, app, superuser, site)
    return page


async def test_browser_fills_slug_preview_and_time_zone(app: FastAPI, browser_page: Page) -> None:
    page = browser_page
    # Time zone of New York.
    await page.add_init_script(
        "const original = Intl.DateTimeFormat.prototype.resolvedOptions;"
        "Intl.DateTimeFormat.prototype.resolvedOptions = function () {"
        " return { ...original.call(this), timeZone: 'America/New_York' }; };"
    )
    await page.goto("/accounts/data")  # any page sends the time zone
    await page.goto("/admin/sample/create")
    await page.get_by_label("Its name").fill("Çay & Kek")
    await expect(page.get_by_label("Slug")).to_have_value("cay-kek")
    await page.get_by_label("About").fill("*hello* <b>you</b>")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.locator("markdown-preview em")).to_have_text("hello")
    await expect(page.locator("markdown-preview")).to_contain_text("<b>you</b>")
    await page.get_by_label("About").fill("*bye*")
    await expect(page.locator("markdown-preview em")).to_be_hidden()
    await expect(page.get_by_text("America/New York")).to_be_visible()
    starts_at = page.locator("#starts_at")
    await starts_at.fill("2026-07-01T08:00")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text("was saved")
    async with app.state.database.reader() as session:
        row = (await session.scalars(select(Sample))).one()
    assert row.starts_at
    assert row.starts_at.isoformat() == "2026-07-01T12:00:00+00:00"
    await expect(page.get_by_text(re.compile(r"1 Jul 2026, 08:00 EDT"))).to_be_visible()
