"""Dependencies of routes that return the signed-in user."""

from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI, Request
from httpx2 import AsyncClient
from sqlalchemy import select

from opportune.accounts.dependencies import CurrentUser, OptionalUser, get_optional_user
from opportune.accounts.models import User
from opportune.db.database import Database
from opportune.db.sessions.dependencies import WriteSession
from opportune.testing import counted_statements
from opportune.testing.factories import make_user, signed_in_client


@pytest.fixture(autouse=True)
def _routes(app: FastAPI) -> None:
    @app.api_route("/private", methods=["GET", "POST"])
    async def private(user: CurrentUser) -> str:
        return user.email

    @app.get("/open")
    async def open_to_all(request: Request, user: OptionalUser) -> str | None:
        assert await get_optional_user(request) is user
        return user.email if user else None

    @app.post("/verify")
    async def verify(user: CurrentUser, session: WriteSession) -> None:
        session.add(user)
        user.is_verified = True

    @app.get("/api/private")
    async def private_api(user: CurrentUser) -> str:
        return user.email


def next_parameter(location: str) -> list[str]:
    parts = urlsplit(location)
    assert parts.path == "/accounts/login"
    return parse_qs(parts.query)["next"]


async def test_page_redirects_visitors_to_sign_in(client: AsyncClient) -> None:
    response = await client.get("/private?a=1&b=%2F")

    assert response.status_code == 303
    assert next_parameter(response.headers["location"]) == ["/private?a=1&b=%2F"]


async def test_form_redirects_back_to_its_page(client: AsyncClient) -> None:
    response = await client.post("/private", headers={"Referer": "http://testserver/accounts/tokens?page=2"})

    assert response.status_code == 303
    assert next_parameter(response.headers["location"]) == ["/accounts/tokens?page=2"]


async def test_htmx_request_is_redirected_by_header(client: AsyncClient) -> None:
    for address, next_address in (("http://testserver/accounts/tokens", "/accounts/tokens"), ("http://[", "/")):
        headers = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Current-URL": address}

        response = await client.get("/private", headers=headers)

        assert response.status_code == 401
        assert next_parameter(response.headers["hx-redirect"]) == [next_address]


async def test_api_responds_401_and_accepts_the_cookie(app: FastAPI, client: AsyncClient) -> None:
    response = await client.get("/api/private")

    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["www-authenticate"] == "Bearer"
    user = await make_user(app.state.database)
    async with signed_in_client(app, user) as browser:
        assert (await browser.get("/api/private")).json() == user.email


async def test_optional_user_is_loaded(app: FastAPI, client: AsyncClient) -> None:
    user = await make_user(app.state.database)

    assert (await client.get("/open")).json() is None
    async with signed_in_client(app, user) as browser:
        assert (await browser.get("/open")).json() == user.email


async def test_user_is_read_once_per_request(app: FastAPI) -> None:
    async with signed_in_client(app) as client:
        with counted_statements("accounts_") as statements:
            await client.get("/open")

    assert len([text for text in statements if "SELECT" in text]) == 1


async def test_user_can_be_changed_in_a_write_session(app: FastAPI, database: Database) -> None:
    user = await make_user(database)

    async with signed_in_client(app, user) as client:
        assert (await client.post("/verify")).status_code == 200

    async with database.reader() as session:
        stored = await session.scalar(select(User).where(User.email == user.email))  # type: ignore[arg-type]
    assert stored
    assert stored.is_verified


async def test_deactivated_user_is_signed_out(app: FastAPI, database: Database) -> None:
    user = await make_user(database)
    async with signed_in_client(app, user) as client:
        assert (await client.get("/private")).status_code == 200

        async with database.writer() as session:
            session.add(user)
            user.is_active = False

        assert (await client.get("/private")).status_code == 303
        assert (await client.get("/api/private")).status_code == 401
