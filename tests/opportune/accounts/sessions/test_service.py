"""Sessions: their cookie, their lifetime, and the changes that end them."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from opportune.accounts.models import ApiToken, Session, User
from opportune.accounts.sessions import credentials
from opportune.application import create_app
from opportune.config.settings import Settings, load_settings
from opportune.db import Database, utc_now
from opportune.errors import SettingsError
from opportune.testing.factories import PASSWORD, make_token, make_user, sign_in, signed_in_client
from tests.opportune.accounts.conftest import new_client, token_status
from tests.opportune.stored_rows import add_rows, change, count, read_all, read_one, set_all

PROFILE = "/accounts/profile"


async def post_sign_in(client: AsyncClient, email: str = "ada@example.com", password: str = PASSWORD) -> str:
    """Sign in by the page and return the Set-Cookie header."""
    response = await client.post("/accounts/login", data={"email": email, "password": password})
    assert response.status_code == 303, response.text
    return response.headers["set-cookie"]


@pytest.mark.usefixtures("user")
async def test_cookie_is_protected_and_token_is_hashed(client: AsyncClient, database: Database) -> None:
    cookie = await post_sign_in(client)
    name, _, attributes = cookie.partition("=")
    assert name == "session"
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(attributes.split("; "))
    assert "Domain" not in cookie
    assert "Max-Age" not in attributes.partition(", ")[0]  # browsers delete it when they are closed
    await post_sign_in(client)
    stored = await read_one(database, Session)
    assert client.cookies["session"] not in stored.model_dump_json()
    assert stored.agent.startswith("python-httpx")


@pytest.mark.usefixtures("user")
async def test_cookie_needs_tls_in_production_and_runserver_https(settings: Settings) -> None:
    for name, value in (("environment", "production"), ("local_https", True)):
        app = create_app(settings.model_copy(update={name: value}))
        browser = AsyncClient(transport=ASGITransport(app), base_url="https://testserver")
        async with app.router.lifespan_context(app), browser as client:
            cookie = await post_sign_in(client)
            profile = await client.get(PROFILE)
        assert cookie.startswith("__Host-session=")
        assert "Secure" in cookie.split("; ")
        assert profile.status_code == 200


@pytest.mark.usefixtures("user")
async def test_an_invented_token_is_never_adopted(client: AsyncClient) -> None:
    client.cookies.set("session", "invented")
    await post_sign_in(client)
    client.cookies.clear()
    client.cookies.set("session", "invented")
    assert (await client.get(PROFILE)).status_code == 303


async def test_sign_in_replaces_the_session(app: FastAPI, client: AsyncClient, user: User, database: Database) -> None:
    await sign_in(client, app, user)
    old_token = client.cookies["session"]
    client.cookies.clear()
    client.cookies.set("session", old_token, domain="testserver.local", path="/")
    await post_sign_in(client)
    assert client.cookies["session"] != old_token
    assert await count(database, Session) == 1


async def test_signing_out_ends_copies_of_the_cookie(app: FastAPI, user: User, database: Database) -> None:
    async with signed_in_client(app, user) as client:
        copied_cookies = dict(client.cookies)
        response = await client.post("/accounts/logout")
        assert response.status_code == 303
        assert "Max-Age=0" in response.headers["set-cookie"]
        client.cookies.clear()
        copied = await client.get(PROFILE, headers={"Cookie": f"session={copied_cookies['session']}"})
        assert copied.status_code == 303
    assert await count(database, Session) == 0
    async with signed_in_client(app, user) as browser, signed_in_client(app, user) as other_browser:
        await browser.post("/accounts/logout")
        assert (await other_browser.get(PROFILE)).status_code == 200


async def test_links_and_other_sites_cannot_sign_in_or_out(user: User, user_client: AsyncClient) -> None:
    foreign = {"Origin": "https://evil.example"}
    assert (await user_client.get("/accounts/logout")).status_code == 405
    assert (await user_client.post("/accounts/logout", headers=foreign)).status_code == 403
    data = {"email": user.email, "password": PASSWORD}
    assert (await user_client.post("/accounts/login", headers=foreign, data=data)).status_code == 403
    assert (await user_client.get(PROFILE)).status_code == 200


async def test_expired_session_is_deleted(client: AsyncClient, database: Database, user_client: AsyncClient) -> None:
    await set_all(database, Session, expires_at=utc_now() - timedelta(seconds=1))
    assert (await user_client.get(PROFILE)).status_code == 303
    await post_sign_in(client)
    assert await count(database, Session) == 1


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"is_superuser": True}, 303),
        ({"is_active": False}, 303),
        ({"hashed_password": "x"}, 303),
        ({"is_verified": True}, 200),
    ],
)
async def test_changed_rights_or_password_end_credentials(
    user_client: AsyncClient, client: AsyncClient, database: Database, user: User, changes: dict[str, Any], status: int
) -> None:
    token = await make_token(database, user)
    await change(database, user, **changes)
    await set_all(database, User, is_active=True)  # the credentials do not come back
    assert (await user_client.get(PROFILE)).status_code == status
    assert await token_status(client, token) == (200 if status == 200 else 401)


@pytest.mark.parametrize("model", [Session, ApiToken])
async def test_sessions_per_user_are_limited(
    database: Database, user: User, monkeypatch: pytest.MonkeyPatch, model: type[Session | ApiToken]
) -> None:
    monkeypatch.setattr(credentials, "MAX_CREDENTIALS_PER_USER", 3)
    other_user = await make_user(database)
    fields: dict[str, Any] = {"name": "a program", "scopes": "*"} if model is ApiToken else {}
    for owner, token_hash, hours in (*((user, str(hours), hours) for hours in (4, 1, 3, 2)), (other_user, "x", 1)):
        ends = utc_now() + timedelta(hours=hours)
        await add_rows(database, model(token_hash=token_hash, user_id=owner.id, expires_at=ends, **fields))
    async with database.writer() as session:
        await credentials.delete_expired_and_surplus(session, user, model)
    assert [row.token_hash for row in await read_all(database, model)] == ["4", "3", "x"]


async def test_session_lifetimes_are_settings(app: FastAPI, user: User, database: Database) -> None:
    app.state.settings = app.state.settings.model_copy(update={"session_days": 90, "session_idle_hours": 2})
    async with new_client(app) as client:
        data = {"email": user.email, "password": PASSWORD}
        remembered = await client.post("/accounts/login", data={**data, "remember": "true"})
        client.cookies.clear()
        await client.post("/accounts/login", data=data)
    assert f"Max-Age={90 * 24 * 60 * 60}" in remembered.headers["set-cookie"]
    rows = await read_all(database, Session)
    assert [row.is_remembered for row in rows] == [True, False]
    for row, expected in zip(rows, (timedelta(days=90), timedelta(hours=2)), strict=True):
        assert abs(row.expires_at - row.created_at - expected) < timedelta(minutes=1)


@pytest.mark.parametrize("name", ["SESSION_DAYS", "SESSION_IDLE_HOURS"])
def test_zero_session_lifetime_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "0")
    with pytest.raises(SettingsError, match=f"^{name}: Input should be greater than or equal to 1$"):
        load_settings()
