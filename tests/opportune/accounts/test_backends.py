"""Sessions and tokens as backends of FastAPI Users."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi_users import FastAPIUsers
from httpx2 import AsyncClient

from opportune.accounts import User, auth_backends, get_user_manager
from opportune.accounts.sessions.cookies import cookie_name
from opportune.db.database import Database
from opportune.testing.factories import make_token, make_user, signed_in_client
from tests.opportune.accounts.conftest import bearer
from tests.opportune.accounts.stored_rows import change

verified = FastAPIUsers[Any, int](get_user_manager, auth_backends).current_user(active=True, verified=True)


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    @app.get("/verified")
    async def show(user: Annotated[User, Depends(verified)]) -> str:
        return user.email

    return app


async def test_credentials_are_valid_until_ended(app: FastAPI, client: AsyncClient, database: Database) -> None:
    user = await make_user(database, "ada@example.com", is_verified=True)
    headers = bearer(await make_token(database, user))
    assert (await client.get("/verified")).status_code == 401
    async with signed_in_client(app, user) as browser:
        for response in (await browser.get("/verified"), await client.get("/verified", headers=headers)):
            assert (response.status_code, response.json()) == (200, "ada@example.com")
        await change(database, user, hashed_password="another")
        for response in (await browser.get("/verified"), await client.get("/verified", headers=headers)):
            assert response.status_code == 401


async def test_backends_sign_in_and_out(app: FastAPI, client: AsyncClient, database: Database) -> None:
    """Sign in and out by the routes of FastAPI Users, which the site does not use."""
    user = await make_user(database, is_verified=True)
    users = FastAPIUsers[Any, int](get_user_manager, auth_backends)
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
