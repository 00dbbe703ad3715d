"""Printed lists of the admin."""

from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts.models import User
from opportune.testing.factories import sign_in_browser


async def test_printed_list_has_no_navigation(app: FastAPI, page: Page, superuser: User, site: str) -> None:
    await sign_in_browser(page, app, superuser, site)
    await page.goto("/admin/user/list")
    for media, is_paper in (("screen", False), ("print", True)):
        await page.emulate_media(media=media)  # type: ignore[arg-type]  # one of two words
        await expect(page.locator("aside.navbar-vertical")).to_be_visible(visible=not is_paper)
        await expect(page.get_by_role("link", name="Add User")).to_be_visible(visible=not is_paper)
    assert await page.locator("main").evaluate("(main) => main.getBoundingClientRect().left") == 0
    await page.emulate_media(media="screen")
