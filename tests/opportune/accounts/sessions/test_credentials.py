"""Pages and API of a user's sessions and API tokens, and signing out, which clears cached pages and Web Storage."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.accounts.models import ApiToken, Session
from opportune.db import Database, utc_now
from opportune.testing.factories import PASSWORD, sign_in_browser, signed_in_client
from tests.opportune.accounts.conftest import bearer, is_signed_in, token_status
from tests.opportune.stored_rows import change, read_all, set_all

SESSIONS_API, TOKENS_API = "/api/v1/users/me/sessions", "/api/v1/users/me/tokens"
NEW_API_TOKEN = {"name": "Backup <script>", "days": 30, "current_password": PASSWORD}
SESSIONS, TOKENS = "/accounts/sessions", "/accounts/tokens"
NEW_TOKEN = {"name": "Backup <script>", "days": "30", "scopes": ["read", "write"], "current_password": PASSWORD}


@pytest.fixture
async def eve_client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app) as client:
        yield client


async def create_token(client: AsyncClient, **changes: Any) -> Any:
    return await client.post(TOKENS_API, json={**NEW_API_TOKEN, **changes})


async def test_user_lists_sessions(
    user_client: AsyncClient, other_browser: AsyncClient, database: Database, eve_client: AsyncClient
) -> None:
    row = (await read_all(database, Session))[0]
    agent = "Mozilla/5.0 (X11; Linux) Firefox/145.0"
    await change(database, row, agent=agent, address="192.0.2.7", seen_at=utc_now())
    current_session, other_session = (await user_client.get(SESSIONS_API)).json()
    expected = {"id": row.id, "device": "Firefox on Linux", "address": "192.0.2.7", "is_current": True}
    assert expected.items() <= current_session.items()
    assert not other_session["is_current"]
    assert "hash" not in str(current_session)


async def test_user_ends_session(user_client: AsyncClient, other_browser: AsyncClient, eve_client: AsyncClient) -> None:
    ids = {row["is_current"]: row["id"] for row in (await user_client.get(SESSIONS_API)).json()}
    assert (await eve_client.delete(f"{SESSIONS_API}/{ids[False]}")).status_code == 404
    assert await is_signed_in(other_browser)
    assert (await user_client.delete(f"{SESSIONS_API}/{ids[False]}")).status_code == 204
    assert not await is_signed_in(other_browser)
    assert (await user_client.delete(SESSIONS_API)).status_code == 204
    assert not await is_signed_in(user_client)
    assert await is_signed_in(eve_client)


NAMES: list[dict[str, Any]] = [{"name": name} for name in ("", "x" * 101, "nul\0")]
INVALID_FIELDS = [*NAMES, {"current_password": "not the password"}, {"days": 3650}, {"days": None}]


async def test_token_needs_password_name_and_lifetime(user_client: AsyncClient) -> None:
    for invalid_field in INVALID_FIELDS:
        response = await create_token(user_client, **invalid_field)
        assert [error["field"] for error in response.json()["errors"]] == [list(invalid_field)], response.text
    assert (await user_client.get(TOKENS_API)).json() == []
    responses = [await create_token(user_client) for _ in range(11)]
    assert {response.status_code for response in responses} == {201}
    assert responses[0].headers["cache-control"] == "no-store, no-transform"


async def test_user_ends_only_own_tokens(user_client: AsyncClient, eve_client: AsyncClient) -> None:
    token_id = (await create_token(user_client)).json()["id"]
    for path in (f"{TOKENS_API}/{token_id}", f"{TOKENS_API}/{2**63}"):
        assert (await eve_client.delete(path)).status_code == 404
    assert (await eve_client.delete(TOKENS_API)).status_code == 204
    assert len((await user_client.get(TOKENS_API)).json()) == 1
    assert (await user_client.delete(TOKENS_API)).status_code == 204
    assert (await user_client.get(TOKENS_API)).json() == []


async def test_expired_row_is_hidden(user_client: AsyncClient, other_browser: AsyncClient, database: Database) -> None:
    await create_token(user_client)
    await set_all(database, ApiToken, expires_at=utc_now() - timedelta(seconds=1))
    assert (await user_client.get(TOKENS_API)).json() == []
    await change(database, (await read_all(database, Session))[-1], expires_at=utc_now())
    assert len((await user_client.get(SESSIONS_API)).json()) == 1


async def test_ending_other_sessions_keeps_this_one(user_client: AsyncClient, other_browser: AsyncClient) -> None:
    assert (await user_client.post(f"{SESSIONS}/end-others")).headers["location"] == SESSIONS
    page = (await user_client.get(SESSIONS)).text
    assert "Every other device is signed out." in page
    assert "end-others" not in page
    assert not await is_signed_in(other_browser)


async def test_token_is_shown_on_one_page_only(user_client: AsyncClient, client: AsyncClient) -> None:
    page = await user_client.post(TOKENS, data=NEW_TOKEN)
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store, no-transform")
    (token,) = re.findall(r"user-select-all[^>]*>(\S+)</code>", page.text)
    assert "Backup &lt;script&gt;" in page.text
    assert await token_status(client, token) == 200
    next_page = await user_client.get(TOKENS)
    assert token not in next_page.text
    (end_path,) = re.findall(r'action="(/accounts/\w+/\d+/\w+)"', next_page.text)
    await user_client.post(end_path)
    assert await token_status(client, token) == 401


async def test_ending_all_sessions_signs_out(user_client: AsyncClient, other_browser: AsyncClient) -> None:
    assert "Max-Age=0" in (await user_client.post(f"{SESSIONS}/end-all")).headers["set-cookie"]
    assert "You are signed out on every device." in (await user_client.get("/")).text
    assert (await is_signed_in(user_client), await is_signed_in(other_browser)) == (False, False)


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
    assert (await user_client.post(path, data=PROOF)).headers["clear-site-data"] == '"cache", "storage"'


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
