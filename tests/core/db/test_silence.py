"""PostgreSQL, or the pooler before it, takes what we send and does not answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import make_url

from app.core.settings import Settings
from app.main import create_app
from tests.conftest import settings_for
from tests.core.db.gateway import Gateway
from tests.factories import PASSWORD, make_user, sign_in

LONG_ENOUGH = 12  # seconds; without a limit of ours an answer takes from 16 to for ever


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    gateway = Gateway(make_url(database_url).port or 0)
    async with gateway.open():
        yield gateway


@pytest.fixture
def settings(database_url: str, gateway: Gateway) -> Settings:
    url = make_url(database_url).set(port=gateway.port).render_as_string(hide_password=False)
    return settings_for(url).model_copy(update={"database_pool_timeout": 0.5})


@pytest.fixture
async def visitor(app: FastAPI, client: AsyncClient) -> AsyncClient:
    """Somebody who is signed in, with connections in the pools of the reader and the writer."""
    await sign_in(client, app, await make_user(app.state.database, "ada@example.com"))
    assert (await client.get("/accounts/profile")).status_code == 200
    return client


async def test_requests_are_answered_503_while_the_server_is_silent_and_200_afterwards(
    visitor: AsyncClient, gateway: Gateway
) -> None:
    form = {"email": "ada@example.com", "password": PASSWORD}

    gateway.passing.clear()
    async with asyncio.timeout(LONG_ENOUGH):
        answers = await asyncio.gather(
            visitor.get("/accounts/profile"),
            visitor.get("/api/v1/users/me"),
            visitor.post("/accounts/login", data=form),
            visitor.get("/health"),
        )
    assert [answer.status_code for answer in answers] == [503] * 4

    gateway.passing.set()
    async with asyncio.timeout(LONG_ENOUGH):
        assert (await visitor.get("/accounts/profile")).status_code == 200
        assert (await visitor.post("/accounts/login", data=form)).status_code == 303
        assert (await visitor.get("/health")).status_code == 200


async def test_a_server_that_does_not_even_greet_is_unavailable(settings: Settings, gateway: Gateway) -> None:
    gateway.passing.clear()
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client,
        asyncio.timeout(LONG_ENOUGH),
    ):
        assert (await client.post("/accounts/login", data={"email": "a", "password": "b"})).status_code == 503
    gateway.passing.set()
