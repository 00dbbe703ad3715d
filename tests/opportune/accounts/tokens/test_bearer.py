"""Bearer tokens of the API: the user they identify, their lifetime and their end."""

from datetime import timedelta

import pytest
from httpx2 import AsyncClient

from opportune.accounts.models import ACCESS_TOKEN_NAME, ApiToken, User
from opportune.accounts.tokens.service import HINT_LENGTH
from opportune.db import Database, utc_now
from opportune.testing.factories import PASSWORD, make_token
from tests.opportune.accounts.conftest import bearer, token_status
from tests.opportune.stored_rows import read_one, set_all

ME, LOGIN, LOGOUT = "/api/v1/users/me", "/api/v1/auth/login", "/api/v1/auth/logout"


@pytest.fixture
async def token(database: Database, user: User) -> str:
    return await make_token(database, user)


async def test_token_identifies_its_user_in_the_api_only(client: AsyncClient, user: User, token: str) -> None:
    response = await client.get(ME, headers={"Authorization": f"bearer {token}"})
    assert (response.status_code, response.json()["email"]) == (200, user.email)
    assert (await client.get("/accounts/profile", headers=bearer(token))).status_code == 303
    for invalid_token in ("", "x", "a.b.c", "ü", "Bearer"):
        response = await client.get(ME, headers={b"Authorization": f"Bearer {invalid_token}".encode()})
        assert response.status_code == 401, invalid_token


async def test_sign_in_token_lasts_an_hour(client: AsyncClient, database: Database, user: User) -> None:
    response = await client.post(LOGIN, data={"username": user.email, "password": PASSWORD})
    assert await token_status(client, response.json()["access_token"]) == 200
    stored = await read_one(database, ApiToken)
    assert stored.name == ACCESS_TOKEN_NAME
    assert abs(stored.expires_at - utc_now() - timedelta(hours=1)) < timedelta(minutes=1)


async def test_expired_token_is_deleted(client: AsyncClient, database: Database, user: User, token: str) -> None:
    await set_all(database, ApiToken, expires_at=utc_now() - timedelta(seconds=1))
    assert await token_status(client, token) == 401
    new_token = await make_token(database, user)
    assert (await read_one(database, ApiToken)).hint == new_token[:HINT_LENGTH]


async def test_invalid_token_is_refused_despite_a_cookie(user_client: AsyncClient) -> None:
    assert [await token_status(user_client, invalid_token) for invalid_token in ("x", "")] == [401, 401]


async def test_signing_out_ends_one_credential(
    user_client: AsyncClient, client: AsyncClient, database: Database, user: User, token: str
) -> None:
    other_token = await make_token(database, user)
    assert (await client.post(LOGOUT, headers=bearer(token))).status_code == 204
    assert (await token_status(client, token), await token_status(client, other_token)) == (401, 200)
    assert (await user_client.get(ME)).status_code == 200
    assert (await user_client.post(LOGOUT)).status_code == 204
    assert (await user_client.get(ME)).status_code == 401
    assert await token_status(client, other_token) == 200
