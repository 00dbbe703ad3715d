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


async def test_long_site_name_does_not_overflow_on_a_phone(page: Page, app: FastAPI, site: str) -> None:
    await sign_in_browser(page, app, await make_user(app.state.database, is_superuser=True), site)
    for path in ("/accounts/profile", "/admin/", "/nothing"):
        await page.set_viewport_size({"width": 390, "height": 780})
        await page.goto(path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390, path
        if path != "/nothing":
            await expect_shortened_site_name(page, path)
    assert await page.get_by_role("link", name="Sign in").count() == 0
    await expect(page.locator("#account")).to_be_visible()


SITE_NAME_SCRIPT = """(span) => {
  const bar = document.querySelector(".navbar"), position = () => JSON.stringify(bar.getBoundingClientRect());
  const [name, positionBefore] = [span.textContent, position()];
  span.textContent = "Library of our village";
  const isWhole = span.scrollWidth <= span.clientWidth && span.scrollHeight <= span.clientHeight;
  const stays = position() === positionBefore;
  span.textContent = "Public Library of Llanfairpwllgwyngyll";
  const image = span.closest(".navbar-brand").querySelector("img").getBoundingClientRect();
  const results = [isWhole, stays, position() === positionBefore, document.documentElement.scrollWidth <= innerWidth,
    image.width > 0 && image.left >= 0 && image.right <= innerWidth && image.top >= 0];
  span.textContent = name;
  return results;
}"""
"""Script: is the name complete, the bar unchanged, no horizontal scrolling, and the logo visible?"""


async def expect_shortened_site_name(page: Page, path: str) -> None:
    """Expect that a long name of the site does not move the navigation bar."""
    for width in (390, 1280):
        await page.set_viewport_size({"width": width, "height": 780})
        assert await page.locator(".navbar-brand span").first.evaluate(SITE_NAME_SCRIPT) == [True] * 5, (path, width)


async def test_start_page_preloads_one_picture(page: Page, site: str) -> None:
    """The picture of the other colour scheme, and other sizes of the same picture, are not requested."""
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    await page.goto("/", wait_until="networkidle")
    assert len([url for url in urls if "/presentation/admin" in url]) == 1
    await expect(page.locator("link[as=image][fetchpriority=high]")).to_have_count(2)
