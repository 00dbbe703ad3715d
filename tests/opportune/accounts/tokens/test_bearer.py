from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import select, update

from opportune.accounts.models import ApiToken, User
from opportune.accounts.tokens.service import ACCESS_TOKEN_NAME, HINT_LENGTH
from opportune.db.database import Database
from opportune.db.model import utc_now
from opportune.testing.factories import PASSWORD, make_token, make_user, signed_in_client

# One is enough where the query is the same that other tests ask of both.
pytestmark = pytest.mark.database("sqlite")

ME, LOGIN, LOGOUT = "/api/v1/users/me", "/api/v1/auth/login", "/api/v1/auth/logout"


@pytest.fixture
async def user(database: Database) -> User:
    return await make_user(database)


@pytest.fixture
async def token(database: Database, user: User) -> str:
    return await make_token(database, user)


async def status_of(client: AsyncClient, token: str) -> int:
    return (await client.get(ME, headers={"Authorization": f"Bearer {token}"})).status_code


async def test_a_token_tells_who_it_is(client: AsyncClient, user: User, token: str) -> None:
    answer = await client.get(ME, headers={"Authorization": f"bearer {token}"})

    assert answer.status_code == 200
    assert answer.json()["email"] == user.email


async def test_the_database_does_not_know_the_token(database: Database, token: str) -> None:
    async with database.reader() as session:
        stored = (await session.scalars(select(ApiToken))).one()

    assert token not in stored.model_dump_json()
    assert token.startswith(stored.hint)
    assert len(stored.hint) < len(token) / 4


async def test_signing_in_gives_a_token_of_an_hour(client: AsyncClient, database: Database, user: User) -> None:
    answer = await client.post(LOGIN, data={"username": user.email, "password": PASSWORD})

    assert await status_of(client, answer.json()["access_token"]) == 200
    async with database.reader() as session:
        stored = (await session.scalars(select(ApiToken))).one()
    assert stored.name == ACCESS_TOKEN_NAME
    assert abs(stored.expires_at - utc_now() - timedelta(hours=1)) < timedelta(minutes=1)


async def test_a_token_whose_time_is_over_is_refused_and_swept_out_with_the_next(
    client: AsyncClient, database: Database, user: User, token: str
) -> None:
    async with database.writer() as session:
        await session.execute(update(ApiToken).values(expires_at=utc_now() - timedelta(seconds=1)))

    assert await status_of(client, token) == 401
    newer = await make_token(database, user)
    async with database.reader() as session:
        assert [row.hint for row in await session.scalars(select(ApiToken))] == [newer[:HINT_LENGTH]]


async def test_nonsense_is_refused(client: AsyncClient) -> None:
    for token in ("", "x", "a.b.c", "ü", "Bearer"):
        answer = await client.get(ME, headers={b"Authorization": f"Bearer {token}".encode()})

        assert answer.status_code == 401, token


async def test_a_deactivated_users_token_is_refused(
    client: AsyncClient, user: User, token: str, database: Database
) -> None:
    async with database.writer() as session:
        await session.execute(update(User).values(is_active=False))

    assert await status_of(client, token) == 401


async def test_a_bad_token_is_not_saved_by_a_good_cookie(app: Any, user: User) -> None:
    async with signed_in_client(app, user) as client:
        assert (await client.get(ME)).status_code == 200
        assert await status_of(client, "x") == 401
        assert await status_of(client, "") == 401


async def test_pages_take_no_token(client: AsyncClient, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}

    assert (await client.get("/accounts/profile", headers=headers)).status_code == 303


async def test_signing_out_ends_the_token_it_came_with_and_no_other(
    app: FastAPI, client: AsyncClient, database: Database, user: User, token: str
) -> None:
    other = await make_token(database, user)

    answer = await client.post(LOGOUT, headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 204
    assert (await status_of(client, token), await status_of(client, other)) == (401, 200)
    async with signed_in_client(app, user) as browser:
        assert (await browser.post(LOGOUT)).status_code == 204
        assert (await browser.get(ME)).status_code == 401
    assert await status_of(client, other) == 200
