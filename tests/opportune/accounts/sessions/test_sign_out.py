"""Signing out clears cached pages and Web Storage, but not other cookies."""

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from httpx import AsyncClient
from playwright.async_api import Page, expect

from opportune.accounts import OptionalUser
from opportune.accounts.models import User
from opportune.testing.factories import PASSWORD, make_user, sign_in_browser, signed_in_client

pytestmark = pytest.mark.database("sqlite")

CLEARED = '"cache", "storage"'
STORED_PAGE = "/stored-page"
KEYS = "[...Object.keys(localStorage), ...Object.keys(sessionStorage)]"


@pytest.fixture
async def ada(app: FastAPI) -> User:
    return await make_user(app.state.database, "ada@example.com")


@pytest.fixture
async def signed_in(page: Page, app: FastAPI, ada: User, site: str) -> Page:
    await sign_in_browser(page, app, ada, site)
    return page


@pytest.mark.parametrize("path", ["/accounts/logout", "/accounts/sessions/end-all", "/api/v1/auth/logout"])
async def test_signing_out_clears_cache_and_storage(app: FastAPI, ada: User, path: str) -> None:
    async with signed_in_client(app, ada) as client:
        response = await client.post(path)
    assert response.headers["clear-site-data"] == CLEARED


async def test_deleting_the_account_clears_cache_and_storage(app: FastAPI, ada: User) -> None:
    async with signed_in_client(app, ada) as client:
        response = await client.post("/accounts/data/delete", data={"email": ada.email, "current_password": PASSWORD})
    assert (response.headers["location"], response.headers["clear-site-data"]) == ("/accounts/left", CLEARED)


async def test_program_that_ends_its_token_keeps_its_data(client: AsyncClient, ada: User) -> None:
    login = await client.post("/api/v1/auth/login", data={"username": ada.email, "password": PASSWORD})
    bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}
    response = await client.post("/api/v1/auth/logout", headers=bearer)
    assert (response.status_code, response.headers.get("clear-site-data")) == (204, None)


async def sign_out(page: Page) -> None:
    await page.get_by_role("button", name="Account").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("status")).to_contain_text("You are signed out.")


async def test_back_button_shows_no_page_of_the_user(signed_in: Page) -> None:
    await signed_in.goto("/accounts/profile")
    await expect(signed_in.get_by_role("main")).to_contain_text("ada@example.com")
    await sign_out(signed_in)
    await signed_in.go_back()
    await expect(signed_in.get_by_role("heading", name="Sign in")).to_be_visible()
    assert "ada@example.com" not in await signed_in.content()


async def test_page_stored_by_the_browser_is_removed(signed_in: Page, app: FastAPI) -> None:
    @app.get(STORED_PAGE)
    async def stored_page(user: OptionalUser) -> HTMLResponse:
        greeting = f"<p>{user.email if user else 'Nobody'}</p>"
        return HTMLResponse(greeting, headers={"Cache-Control": "private, max-age=3600"})

    await signed_in.goto(STORED_PAGE)
    await signed_in.goto("/accounts/profile")
    await sign_out(signed_in)
    await signed_in.evaluate("history.go(-2)")
    await expect(signed_in.get_by_text("Nobody")).to_be_visible()


async def test_signing_out_removes_all_that_pages_stored(signed_in: Page) -> None:
    await signed_in.goto("/accounts/profile")
    await signed_in.evaluate("localStorage.note = sessionStorage.note = 'secret'")
    await sign_out(signed_in)
    assert await signed_in.evaluate(KEYS) == []


async def test_theme_outlives_signing_out(signed_in: Page) -> None:
    await signed_in.goto("/accounts/profile")
    await signed_in.get_by_label("Switch between light and dark").click()
    await sign_out(signed_in)
    assert await signed_in.evaluate(KEYS) == ["theme"]
    await expect(signed_in.locator("html")).to_have_attribute("data-bs-theme", "dark")
    assert "theme" not in await signed_in.evaluate("document.cookie")


async def test_other_cookies_outlive_signing_out(signed_in: Page) -> None:
    await signed_in.goto("/accounts/profile")
    await signed_in.evaluate("document.cookie = 'note=kept; Path=/'")
    await sign_out(signed_in)
    assert "note=kept" in await signed_in.evaluate("document.cookie")
