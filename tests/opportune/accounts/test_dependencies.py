"""Dependencies of routes that return the signed-in user."""

from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts import CurrentUser, User
from opportune.db import Database, WriteSession
from tests.opportune.accounts.stored_rows import reload

TOKENS_URL = "http://testserver/accounts/tokens"
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture(autouse=True)
def _routes(app: FastAPI) -> None:
    @app.api_route("/private", methods=["GET", "POST"])
    async def private(user: CurrentUser) -> str:
        return user.email

    @app.post("/verify")
    async def verify(user: CurrentUser, session: WriteSession) -> None:
        session.add(user)
        user.is_verified = True


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
