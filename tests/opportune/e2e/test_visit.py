"""What every site keeps, whichever features are deleted: accounts, admin and look, in Chromium."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect
from sqlalchemy import update

from opportune.accounts.models import User
from opportune.testing.factories import PASSWORD, make_user, sign_in_browser

# A browser shows the same with both kinds.
pytestmark = pytest.mark.database("sqlite")


async def test_somebody_registers_signs_out_and_by_way_of_the_admin_in_again_and_both_follow_dark_mode(
    page: Page, app: FastAPI
) -> None:
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
    async with app.state.database.writer() as session:
        user = (await session.scalars(update(User).values(is_superuser=True).returning(User))).one()

    await page.goto("/admin/user/list")
    await sign_in(page, "wrong " + PASSWORD)
    await expect(page.get_by_role("alert")).to_be_visible()
    await sign_in(page, PASSWORD)
    await expect(page.locator("table")).to_contain_text("ada@example.com")
    await expect(page.locator("body")).not_to_contain_text(user.hashed_password)
    await page.goto("/accounts/profile")
    html = page.locator("html")
    await expect(html).to_have_attribute("data-bs-theme", "light")
    await page.get_by_label("Switch between light and dark").click()
    await expect(html).to_have_attribute("data-bs-theme", "dark")
    for path in ("/accounts/profile", "/admin"):
        await page.goto(path)
        await expect(html).to_have_attribute("data-bs-theme", "dark")


async def sign_in(page: Page, password: str) -> None:
    await page.get_by_label("E-mail").fill("ADA@example.com")
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("main").get_by_role("button", name="Sign in").click()


async def test_a_phone_and_a_long_name_of_the_site_scroll_nothing_sideways_and_a_page_that_is_not_there_knows_who_asks(
    page: Page, app: FastAPI, site: str
) -> None:
    await sign_in_browser(page, app, await make_user(app.state.database, is_superuser=True), site)
    for path in ("/accounts/profile", "/admin", "/accounts/login", "/admin/user/list", "/nothing"):
        await page.set_viewport_size({"width": 390, "height": 780})
        await page.goto(path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390, path
        large = "links => links.every(link => Math.min(link.offsetWidth, link.offsetHeight) >= 24)"
        assert await page.locator("thead a, .page-sizes > a").evaluate_all(large), f"{path}: a finger hits what sorts"
        if path in {"/accounts/profile", "/admin"}:
            await see_a_long_name_give_way(page, path)
    await page.set_viewport_size({"width": 1280, "height": 720})
    await expect(page.get_by_role("link", name="Sign in")).to_have_count(0)
    await page.get_by_role("link", name="Account").click()
    await page.wait_for_url("**/accounts/profile")


async def see_a_long_name_give_way(page: Page, path: str) -> None:
    """To what is beside it."""
    bar, brand = page.locator(".navbar").first, page.locator(".navbar-brand")
    name = await brand.locator("span").inner_text()
    for width in (390, 1280):
        await page.set_viewport_size({"width": width, "height": 780})
        before = await bar.bounding_box()
        await brand.locator("span").evaluate("name => name.textContent = 'Library of our village'")
        all_of_it = "name => name.scrollWidth <= name.clientWidth && name.scrollHeight <= name.clientHeight"
        assert await brand.locator("span").evaluate(all_of_it), path
        assert await bar.bounding_box() == before, path
        await brand.locator("span").evaluate("name => name.textContent = 'Public Library of Llanfairpwllgwyngyll'")
        assert await bar.bounding_box() == before, path
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
        await expect(brand.locator("img")).to_be_in_viewport(ratio=1)
        await brand.locator("span").evaluate("(span, name) => span.textContent = name", name)
