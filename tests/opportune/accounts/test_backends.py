"""Sessions and tokens as backends of FastAPI Users."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi_users import FastAPIUsers
from httpx2 import AsyncClient

from opportune.accounts import User, auth_backends, get_user_manager
from opportune.accounts.sessions.cookies import cookie_name
from opportune.db.database import Database
from opportune.testing.factories import make_user
from tests.opportune.accounts.conftest import bearer

verified = FastAPIUsers[Any, int](get_user_manager, auth_backends).current_user(active=True, verified=True)


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    @app.get("/verified")
    async def show(user: Annotated[User, Depends(verified)]) -> str:
        return user.email

    return app


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
