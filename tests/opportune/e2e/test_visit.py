"""What every site keeps, whichever features are deleted: accounts, admin and look, in Chromium."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.testing.factories import PASSWORD, make_user, sign_in_browser

# A browser shows the same with both kinds.
pytestmark = pytest.mark.database("sqlite")


async def sign_in(page: Page, email: str, password: str) -> None:
    await page.goto("/accounts/login")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("main").get_by_role("button", name="Sign in").click()


@pytest.mark.database("postgresql")
async def test_a_visitor_registers_signs_out_and_in_again(page: Page) -> None:
    await page.goto("/accounts/register")
    await page.get_by_label("E-mail").fill("Ada@Example.com")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("main").get_by_role("button", name="Register").click()
    account = page.get_by_role("button", name="Account")
    await expect(account).to_contain_text("ada@example.com")
    await expect(page.get_by_role("status")).to_contain_text("Welcome!")
    await account.click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("link", name="Sign in").first).to_be_visible()
    await expect(page.get_by_role("status")).to_contain_text("You are signed out.")
    await sign_in(page, "ada@example.com", "wrong " + PASSWORD)
    await expect(page.get_by_role("alert")).to_be_visible()
    await sign_in(page, "ADA@example.com", PASSWORD)
    await expect(account).to_contain_text("ada@example.com")


async def test_a_superuser_goes_to_the_admin_by_way_of_signing_in_and_it_follows_dark_mode(
    page: Page, app: FastAPI
) -> None:
    user = await make_user(app.state.database, is_superuser=True)
    await page.goto("/admin/user/list")
    await page.get_by_label("E-mail").fill(user.email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("main").get_by_role("button", name="Sign in").click()
    await expect(page.locator("table")).to_contain_text(user.email)
    await expect(page.locator("body")).not_to_contain_text(user.hashed_password)
    await page.goto("/accounts/profile")
    html = page.locator("html")
    await expect(html).to_have_attribute("data-bs-theme", "light")
    await page.get_by_label("Switch between light and dark").click()
    await expect(html).to_have_attribute("data-bs-theme", "dark")
    for path in ("/accounts/profile", "/admin"):
        await page.goto(path)
        await expect(html).to_have_attribute("data-bs-theme", "dark")


async def test_a_phone_shows_pages_without_scrolling_sideways_and_a_page_that_is_not_there_knows_who_asks(
    page: Page, app: FastAPI, site: str
) -> None:
    await sign_in_browser(page, app, await make_user(app.state.database, is_superuser=True), site)
    await page.set_viewport_size({"width": 390, "height": 780})
    for path in ("/accounts/profile", "/accounts/login", "/admin", "/admin/user/list", "/nothing"):
        await page.goto(path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390, path
        large = "links => links.every(link => Math.min(link.offsetWidth, link.offsetHeight) >= 24)"
        assert await page.locator("thead a, .page-sizes > a").evaluate_all(large), f"{path}: a finger hits what sorts"
    await page.set_viewport_size({"width": 1280, "height": 720})
    await expect(page.get_by_role("link", name="Sign in")).to_have_count(0)
    await page.get_by_role("link", name="Account").click()
    await page.wait_for_url("**/accounts/profile")


async def test_a_long_name_of_the_site_gives_way_to_what_is_beside_it(page: Page, app: FastAPI, site: str) -> None:
    await sign_in_browser(page, app, await make_user(app.state.database, is_superuser=True), site)
    looks = (("/accounts/profile", 390), ("/accounts/profile", 1280), ("/admin", 390), ("/admin", 1280))
    for path, width in looks:
        await page.set_viewport_size({"width": width, "height": 780})
        await page.goto(path)
        bar, brand = page.locator(".navbar").first, page.locator(".navbar-brand")
        before = await bar.bounding_box()
        await brand.locator("span").evaluate("name => name.textContent = 'Library of our village'")
        all_of_it = "name => name.scrollWidth <= name.clientWidth && name.scrollHeight <= name.clientHeight"
        assert await brand.locator("span").evaluate(all_of_it), path
        assert await bar.bounding_box() == before, path
        await brand.locator("span").evaluate("name => name.textContent = 'Public Library of Llanfairpwllgwyngyll'")
        assert await bar.bounding_box() == before, path
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
        await expect(brand.locator("img")).to_be_in_viewport(ratio=1)
