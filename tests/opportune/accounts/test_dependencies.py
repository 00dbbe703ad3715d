"""Dependencies of routes that return the signed-in user, and backends of FastAPI Users."""

from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import Depends, FastAPI
from fastapi_users import FastAPIUsers
from httpx2 import AsyncClient

from opportune.accounts import CurrentUser, User, auth_backends, get_user_manager
from opportune.accounts.sessions.cookies import cookie_name
from opportune.db import Database, WriteSession
from opportune.testing.factories import make_user
from tests.opportune.accounts.conftest import bearer
from tests.opportune.stored_rows import reload

TOKENS_URL = "http://testserver/accounts/tokens"
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
users = FastAPIUsers[Any, int](get_user_manager, auth_backends)
verified = users.current_user(active=True, verified=True)


@pytest.fixture(autouse=True)
def _routes(app: FastAPI) -> None:
    @app.api_route("/private", methods=["GET", "POST"])
    async def private(user: CurrentUser) -> str:
        return user.email

    @app.post("/verify")
    async def verify(user: CurrentUser, session: WriteSession) -> None:
        session.add(user)
        user.is_verified = True

    @app.get("/verified")
    async def show(user: Annotated[User, Depends(verified)]) -> str:
        return user.email


@pytest.mark.parametrize(
    ("method", "path", "headers", "next_path"),
    [
        ("GET", "/private?a=1&b=%2F", {}, "/private?a=1&b=%2F"),
        ("POST", "/private", {"Referer": f"{TOKENS_URL}?page=2"}, "/accounts/tokens?page=2"),
        ("GET", "/private", HTMX | {"HX-Current-URL": TOKENS_URL}, "/accounts/tokens"),
        ("GET", "/private", HTMX | {"HX-Current-URL": "http://["}, "/"),
    ],
    ids=["page", "form returns to its page", "htmx returns to the page", "invalid header"],
)
async def test_visitors_are_redirected_to_sign_in(
    client: AsyncClient, method: str, path: str, headers: dict[str, str], next_path: str
) -> None:
    response = await client.request(method, path, headers=headers)
    assert response.status_code == (401 if headers.get("HX-Request") else 303)
    parts = urlsplit(response.headers.get("location") or response.headers["hx-redirect"])
    assert (parts.path, parse_qs(parts.query)["next"]) == ("/accounts/login", [next_path])


async def test_user_can_be_changed_in_a_write_session(user_client: AsyncClient, database: Database, user: User) -> None:
    assert (await user_client.post("/verify")).status_code == 200
    assert (await reload(database, user)).is_verified


async def test_backends_sign_in_and_out(app: FastAPI, client: AsyncClient, database: Database) -> None:
    """Sign in and out by the routes of FastAPI Users, which the site does not use."""
    user = await make_user(database, is_verified=True)
    for backend in auth_backends:
        app.include_router(users.get_auth_router(backend), prefix=f"/as/{backend.name}")
    form = {"username": user.email, "password": "correct horse battery"}
    token = (await client.post("/as/token/login", data=form)).json()["access_token"]
    headers = bearer(token)
    assert (await client.get("/verified", headers=headers)).status_code == 200
    assert (await client.post("/as/token/logout", headers=headers)).status_code == 204
    assert (await client.get("/verified", headers=headers)).status_code == 401
    await client.post("/as/session/login", data=form)
    client.cookies.set(cookie_name(app.state.settings), client.cookies[cookie_name(app.state.settings)])
    assert (await client.get("/verified")).status_code == 200
