"""Tabs with the languages of a translated field."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.testing.factories import sign_in_browser
from opportune.testing.services.accessibility import find_violations
from tests.opportune.fields.translated.conftest import read_texts


@pytest.mark.parametrize("path", ["/poems/new", "/admin/poem/create"])
async def test_tabs_show_one_language(app: FastAPI, page: Page, site: str, superuser: User, path: str) -> None:
    await sign_in_browser(page, app, superuser, site)
    await page.goto(path)
    title = page.locator("language-tabs").first
    await title.get_by_role("tab", name="English").press("ArrowRight")
    await expect(title.get_by_role("tab", name="Deutsch")).to_be_focused()
    await title.get_by_label("Deutsch").last.fill("Adler")
    await expect(title.locator("#title")).to_be_hidden()
    await page.get_by_role("button", name="Save", exact=True).last.click()
    await expect(title.locator("#title")).to_be_focused()  # the browser refuses the empty required text
    assert await find_violations(page) == []
    await title.locator("#title").fill("Eagle")
    await page.get_by_role("button", name="Save", exact=True).last.click()
    await page.wait_for_url(lambda url: path not in url)
    assert (await read_texts(app))["title"] == {"en": "Eagle", "de": "Adler"}
