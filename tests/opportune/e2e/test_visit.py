"""Browser tests of accounts, admin and layout, which exist without example features."""

import re

from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.testing.factories import PASSWORD, make_user, sign_in_browser


async def test_visit_without_javascript_on_a_phone(plain_page: Page, app: FastAPI) -> None:
    """Fill in and submit a form. Other tests check responses without a browser."""
    page = plain_page
    await page.set_viewport_size({"width": 390, "height": 780})
    user = await make_user(app.state.database, is_superuser=True)
    await page.goto("/accounts/login?next=/accounts/profile")
    assert await page.get_by_role("button", name=re.compile("Show|passkey")).count() == 0, "no button does nothing"
    await page.get_by_label("E-mail").fill(user.email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_label("Remember me").check()
    await page.get_by_role("main").get_by_role("button", name="Sign in").click()
    await page.get_by_label("Name").fill("Ada Lovelace")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_label("Name")).to_have_value("Ada Lovelace")
    await page.goto("/admin/")
    await page.get_by_role("button", name="Menu").click()
    await page.get_by_label("Admin").get_by_role("link", name="Users").click()
    await page.wait_for_url("**/admin/user/list")


async def test_dark_mode_switch_and_sign_out(page: Page, app: FastAPI, site: str) -> None:
    user = await make_user(app.state.database, is_superuser=True)
    await sign_in_browser(page, app, user, site)
    html = page.locator("html")
    await page.goto("/admin/user/create")
    await expect(html).to_have_attribute("data-bs-theme", "light")
    await page.get_by_role("button", name="Light or dark").click()
    await expect(html).to_have_attribute("data-bs-theme", "dark")
    await expect(page.get_by_role("button", name="Show Password")).to_be_visible()
    await page.goto("/accounts/password")
    await expect(html).to_have_attribute("data-bs-theme", "dark")
    await page.get_by_label("Switch between light and dark").click()
    await expect(html).to_have_attribute("data-bs-theme", "light")
    account = page.locator("#account")
    await expect(account).to_contain_text(user.email.partition("@")[0])
    await account.click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("status")).to_contain_text("You are signed out.")
