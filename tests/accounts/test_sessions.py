from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import func, select, update

from app.accounts.models import Session, User
from app.core.db.database import Database
from app.core.db.model import utc_now
from app.core.settings import Settings
from app.main import create_app
from tests.factories import PASSWORD, make_user, sign_in, signed_in_client

PROFILE = "/accounts/profile"


@pytest.fixture
async def user(database: Database) -> User:
    return await make_user(database, "ada@example.com")


async def enter(client: AsyncClient, email: str = "ada@example.com", password: str = PASSWORD) -> str:
    """Sign in by the page; gives the Set-Cookie header."""
    answer = await client.post("/accounts/login", data={"email": email, "password": password})
    assert answer.status_code == 303, answer.text
    return answer.headers["set-cookie"]


async def count(database: Database) -> int:
    async with database.reader() as session:
        return await session.scalar(select(func.count()).select_from(Session)) or 0


@pytest.mark.usefixtures("user")
async def test_the_cookie_is_for_this_site_and_no_script(client: AsyncClient) -> None:
    cookie = await enter(client)

    name, _, attributes = cookie.partition("=")
    assert name == "session"
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Max-Age=1209600"} <= set(attributes.split("; "))
    assert "Domain" not in cookie


@pytest.mark.usefixtures("user")
async def test_in_production_the_cookie_needs_tls(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"environment": "production"}))
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="https://testserver") as client,
    ):
        cookie = await enter(client)
        inside = await client.get(PROFILE)

    assert cookie.startswith("__Host-session=")
    assert "Secure" in cookie.split("; ")
    assert inside.status_code == 200


@pytest.mark.usefixtures("user")
async def test_the_database_does_not_know_the_token(client: AsyncClient, database: Database) -> None:
    await enter(client)

    async with database.reader() as session:
        stored = (await session.scalars(select(Session))).one()
    assert client.cookies["session"] not in stored.model_dump_json()
    assert stored.agent.startswith("python-httpx")


@pytest.mark.usefixtures("user")
async def test_an_invented_token_is_never_adopted(client: AsyncClient) -> None:
    client.cookies.set("session", "invented")
    await enter(client)

    client.cookies.clear()
    client.cookies.set("session", "invented")
    assert (await client.get(PROFILE)).status_code == 303


async def test_signing_in_again_ends_the_browsers_old_session(
    app: FastAPI, client: AsyncClient, user: User, database: Database
) -> None:
    await sign_in(client, app, user)
    old = client.cookies["session"]
    client.cookies.clear()
    client.cookies.set("session", old, domain="testserver.local", path="/")

    await enter(client)

    assert client.cookies["session"] != old
    assert await count(database) == 1


async def test_signing_out_ends_the_session_for_copies_of_the_cookie_too(
    app: FastAPI, user: User, database: Database
) -> None:
    async with signed_in_client(app, user) as client:
        copy = dict(client.cookies)
        answer = await client.post("/accounts/logout")
        assert answer.status_code == 303
        assert "Max-Age=0" in answer.headers["set-cookie"]

        client.cookies.clear()
        assert (await client.get(PROFILE, headers={"Cookie": f"session={copy['session']}"})).status_code == 303
    assert await count(database) == 0


async def test_signing_out_leaves_other_browsers_signed_in(app: FastAPI, user: User) -> None:
    async with signed_in_client(app, user) as one, signed_in_client(app, user) as other:
        await one.post("/accounts/logout")

        assert (await other.get(PROFILE)).status_code == 200


async def test_a_link_cannot_sign_anybody_out(app: FastAPI, user: User) -> None:
    async with signed_in_client(app, user) as client:
        assert (await client.get("/accounts/logout")).status_code == 405
        assert (await client.get(PROFILE)).status_code == 200


async def test_another_site_can_sign_nobody_in_or_out(app: FastAPI, user: User) -> None:
    foreign = {"Origin": "https://evil.example"}
    async with signed_in_client(app, user) as client:
        assert (await client.post("/accounts/logout", headers=foreign)).status_code == 403
        data = {"email": user.email, "password": PASSWORD}
        assert (await client.post("/accounts/login", headers=foreign, data=data)).status_code == 403
        assert (await client.get(PROFILE)).status_code == 200


async def test_an_expired_session_is_over_and_swept_out_at_the_next_sign_in(
    app: FastAPI, user: User, client: AsyncClient, database: Database
) -> None:
    async with signed_in_client(app, user) as expired:
        async with database.writer() as session:
            await session.execute(update(Session).values(expires_at=utc_now() - timedelta(seconds=1)))
        assert (await expired.get(PROFILE)).status_code == 303

    await enter(client)

    assert await count(database) == 1
