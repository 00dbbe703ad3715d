"""Bearer tokens of the API: the user they identify, their lifetime and their end."""

from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select, update

from opportune.accounts.models import ApiToken, User
from opportune.accounts.tokens.service import ACCESS_TOKEN_NAME, HINT_LENGTH
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.testing.factories import PASSWORD, make_token, make_user, signed_in_client

ME, LOGIN, LOGOUT = "/api/v1/users/me", "/api/v1/auth/login", "/api/v1/auth/logout"


@pytest.fixture
async def user(database: Database) -> User:
    return await make_user(database)


@pytest.fixture
async def token(database: Database, user: User) -> str:
    return await make_token(database, user)


async def get_status(client: AsyncClient, token: str) -> int:
    return (await client.get(ME, headers={"Authorization": f"Bearer {token}"})).status_code


async def test_token_identifies_its_user_in_the_api_only(
    client: AsyncClient, user: User, token: str, database: Database
) -> None:
    response = await client.get(ME, headers={"Authorization": f"bearer {token}"})

    assert response.status_code == 200
    assert response.json()["email"] == user.email

    async with database.reader() as session:
        stored = (await session.scalars(select(ApiToken))).one()

    assert token not in stored.model_dump_json()
    assert token.startswith(stored.hint)
    assert len(stored.hint) < len(token) / 4

    headers = {"Authorization": f"Bearer {token}"}

    assert (await client.get("/accounts/profile", headers=headers)).status_code == 303

    for invalid_token in ("", "x", "a.b.c", "ü", "Bearer"):
        response = await client.get(ME, headers={b"Authorization": f"Bearer {invalid_token}".encode()})

        assert response.status_code == 401, invalid_token

    async with database.writer() as session:
        await session.execute(update(User).values(is_active=False))

    assert await get_status(client, token) == 401


async def test_sign_in_token_lasts_an_hour(client: AsyncClient, database: Database, user: User) -> None:
    response = await client.post(LOGIN, data={"username": user.email, "password": PASSWORD})

    assert await get_status(client, response.json()["access_token"]) == 200
    async with database.reader() as session:
        stored = (await session.scalars(select(ApiToken))).one()
    assert stored.name == ACCESS_TOKEN_NAME
    assert abs(stored.expires_at - utc_now() - timedelta(hours=1)) < timedelta(minutes=1)


async def test_expired_token_is_refused_and_deleted(
    client: AsyncClient, database: Database, user: User, token: str
) -> None:
    async with database.writer() as session:
        await session.execute(update(ApiToken).values(expires_at=utc_now() - timedelta(seconds=1)))

    assert await get_status(client, token) == 401
    new_token = await make_token(database, user)
    async with database.reader() as session:
        assert [row.hint for row in await session.scalars(select(ApiToken))] == [new_token[:HINT_LENGTH]]


async def test_invalid_token_is_refused_despite_a_cookie(
    app: FastAPI, user: User, client: AsyncClient, database: Database, token: str
) -> None:
    async with signed_in_client(app, user) as browser:
        assert (await browser.get(ME)).status_code == 200
        assert await get_status(browser, "x") == 401
        assert await get_status(browser, "") == 401

    other_token = await make_token(database, user)

    response = await client.post(LOGOUT, headers={"Authorization": f"Bearer {token}"})

    assert response.status_code == 204
    assert (await get_status(client, token), await get_status(client, other_token)) == (401, 200)
    async with signed_in_client(app, user) as browser:
        assert (await browser.post(LOGOUT)).status_code == 204
        assert (await browser.get(ME)).status_code == 401
    assert await get_status(client, other_token) == 200
