"""What is written for FastAPI Users works with the site's sessions and tokens, each of which can be ended at once."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi_users import FastAPIUsers
from httpx import AsyncClient

from opportune.accounts import User, auth_backends, get_user_manager
from opportune.accounts.models import ApiToken, Session
from opportune.accounts.sessions.cookies import cookie_name
from opportune.accounts.sessions.credentials import hash_token
from opportune.db.database import Database
from opportune.testing.factories import make_token, make_user, signed_in_client

pytestmark = pytest.mark.database("sqlite")

verified = FastAPIUsers[Any, int](get_user_manager, auth_backends).current_user(active=True, verified=True)


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    @app.get("/verified")
    async def show(user: Annotated[User, Depends(verified)]) -> str:
        return user.email

    return app


async def test_a_cookie_and_a_token_are_known_until_they_are_ended(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    user = await make_user(database, "ada@example.com", is_verified=True)
    bearer = {"authorization": f"Bearer {await make_token(database, user)}"}
    assert (await client.get("/verified")).status_code == 401
    async with signed_in_client(app, user) as browser:
        for answer in (await browser.get("/verified"), await client.get("/verified", headers=bearer)):
            assert (answer.status_code, answer.json()) == (200, "ada@example.com")
        async with database.writer() as session:
            session.add(user)
            user.hashed_password = "another"
        for answer in (await browser.get("/verified"), await client.get("/verified", headers=bearer)):
            assert answer.status_code == 401


async def test_who_is_not_verified_is_known_and_refused(app: FastAPI, database: Database) -> None:
    async with signed_in_client(app, await make_user(database)) as browser:
        assert (await browser.get("/verified")).status_code == 403


async def test_each_backend_signs_in_and_out(app: FastAPI, client: AsyncClient, database: Database) -> None:
    """As FastAPI Users' own routes do, which the site does not use."""
    user = await make_user(database, is_verified=True)
    users = FastAPIUsers[Any, int](get_user_manager, auth_backends)
    for backend in auth_backends:
        app.include_router(users.get_auth_router(backend), prefix=f"/as/{backend.name}")
    sent = {"username": user.email, "password": "correct horse battery"}
    token = (await client.post("/as/token/login", data=sent)).json()["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    assert (await client.get("/verified", headers=bearer)).status_code == 200
    assert (await client.post("/as/token/logout", headers=bearer)).status_code == 204
    assert (await client.get("/verified", headers=bearer)).status_code == 401
    await client.post("/as/session/login", data=sent)
    client.cookies.set(cookie_name(app.state.settings), client.cookies[cookie_name(app.state.settings)])
    assert (await client.get("/verified")).status_code == 200


@pytest.mark.parametrize("kind", [Session, ApiToken])
def test_no_token_is_stored(kind: type[Any]) -> None:
    assert "token_hash" in kind.model_fields
    assert hash_token("a token") != "a token"
