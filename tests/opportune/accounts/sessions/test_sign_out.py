"""Signing out clears cached pages and Web Storage, but not other cookies."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.testing.factories import PASSWORD, sign_in_browser
from tests.opportune.accounts.conftest import bearer

CLEARED_DATA = '"cache", "storage"'
STORED_KEYS = "[...Object.keys(localStorage), ...Object.keys(sessionStorage)]"


@pytest.fixture
async def signed_in_page(page: Page, app: FastAPI, user: User, site: str) -> Page:
    await sign_in_browser(page, app, user, site)
    return page


PROOF = {"email": "ada@example.com", "current_password": PASSWORD}


@pytest.mark.parametrize(
    "path", ["/accounts/logout", "/accounts/sessions/end-all", "/api/v1/auth/logout", "/accounts/data/delete"]
)
async def test_signing_out_clears_cache_and_storage(user_client: AsyncClient, path: str) -> None:
    response = await user_client.post(path, data=PROOF)
    assert response.headers["clear-site-data"] == CLEARED_DATA


async def test_program_that_ends_its_token_keeps_its_data(client: AsyncClient, user: User) -> None:
    login = await client.post("/api/v1/auth/login", data={"username": user.email, "password": PASSWORD})
    response = await client.post("/api/v1/auth/logout", headers=bearer(login.json()["access_token"]))
    assert (response.status_code, response.headers.get("clear-site-data")) == (204, None)


async def sign_out(page: Page) -> None:
    await page.locator("#account").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("status")).to_contain_text("You are signed out.")


async def test_back_button_does_not_show_private_pages(signed_in_page: Page) -> None:
    await signed_in_page.goto("/accounts/profile")
    await expect(signed_in_page.get_by_role("main")).to_contain_text("ada@example.com")
    await sign_out(signed_in_page)
    await signed_in_page.go_back()
    await expect(signed_in_page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert "ada@example.com" not in await signed_in_page.content()


async def test_only_theme_and_other_cookies_stay_after_signing_out(signed_in_page: Page) -> None:
    await signed_in_page.goto("/accounts/profile")
    await signed_in_page.evaluate("localStorage.note = sessionStorage.note = 'secret'")
    await signed_in_page.evaluate("document.cookie = 'note=kept; Path=/'")
    await signed_in_page.get_by_label("Switch between light and dark").click()
    await sign_out(signed_in_page)
    assert await signed_in_page.evaluate(STORED_KEYS) == ["theme"]
    await expect(signed_in_page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    cookies = await signed_in_page.evaluate("document.cookie")
    assert ("note=kept" in cookies, "theme" in cookies) == (True, False)
