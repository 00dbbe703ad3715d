"""Signing in as somebody and going back."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.testing.factories import PASSWORD, make_user, sign_in_browser
from opportune.testing.services.accessibility import find_violations


@pytest.mark.database("sqlite")
async def test_a_superuser_signs_in_as_somebody_and_goes_back(app: FastAPI, page: Page, site: str) -> None:
    boss = await make_user(app.state.database, "boss@example.com", is_superuser=True)
    ada = await make_user(app.state.database, "ada@example.com")
    await sign_in_browser(page, app, boss, site)
    await page.goto(f"/admin/user/details/{ada.id}")
    await page.get_by_role("link", name="Sign in as …").click()
    await page.get_by_label("current password").fill(PASSWORD)
    await page.get_by_role("button", name="Confirm").click()
    await page.get_by_label("Reason").fill("She asked why her list is empty.")
    await page.get_by_role("button", name="Sign in", exact=True).click()

    banner = page.get_by_role("region", name="You are signed in as somebody else")
    await expect(banner).to_contain_text("You are signed in as ada@example.com")
    await page.set_viewport_size({"width": 390, "height": 500})
    await page.get_by_role("link").last.scroll_into_view_if_needed()
    assert await page.evaluate("scrollY"), "the page is longer than the phone"
    await expect(banner.get_by_role("button")).to_be_in_viewport(ratio=1)
    await page.goto("/accounts/events")
    await expect(page.get_by_role("listitem").filter(has_text="A superuser signed in as you")).to_be_visible()
    assert not await find_violations(page)
    await banner.get_by_role("button", name="Back to my account").click()
    await expect(page.get_by_role("heading", name="ada@example.com")).to_be_visible()
    await expect(banner).to_have_count(0)
