"""Texts that are longer than a field allows."""

from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.testing import sign_in_browser


async def test_long_paste_stays_whole(page: Page, app: FastAPI, site: str, superuser: User) -> None:
    await sign_in_browser(page, app, superuser, site)
    await page.goto("/admin/group/create")
    field = page.locator("main [name=name]").first
    limit = int(await field.get_attribute("data-maxlength") or 0)
    await field.focus()
    await page.keyboard.insert_text("€" * (limit + 9))
    await expect(field).to_have_value("€" * (limit + 9))
    counter = page.get_by_text(f"{limit + 9:,} of {limit:,} characters")
    await expect(counter).to_be_visible()
    assert "please shorten it" in await field.evaluate("field => field.validationMessage")
    assert await page.locator("[maxlength]").count() == 0
    await field.fill("Short")
    await expect(counter).to_be_hidden()
    assert await field.evaluate("field => field.validity.valid")
