"""API for registration, sign-in and the user's own account."""

import asyncio
from typing import Any

import pytest
from httpx2 import AsyncClient, Response

from opportune.accounts.flows import profile
from opportune.accounts.models import User
from opportune.accounts.passwords import hashing
from opportune.accounts.users.schemas import UserRead
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user
from tests.opportune.accounts.conftest import bearer
from tests.opportune.stored_rows import count, read_one

EMAIL = "ada@example.com"
NEW_PASSWORD = "another good password"
REGISTER, LOGIN, ME = "/api/v1/auth/register", "/api/v1/auth/login", "/api/v1/users/me"
PUBLIC_FIELDS = UserRead.model_fields.keys()


async def login(client: AsyncClient, password: str = PASSWORD, email: str = EMAIL) -> Response:
    return await client.post(LOGIN, data={"username": email, "password": password})


def invalid_fields(response: Response) -> list[list[str]]:
    assert response.status_code == 422
    return [error["field"] for error in response.json()["errors"]]


async def test_registration_returns_the_user_without_secrets(client: AsyncClient) -> None:
    response = await client.post(REGISTER, json={"email": "Ada@Example.com", "password": PASSWORD})
    assert (response.status_code, response.json()["email"]) == (201, EMAIL)
    assert response.json().keys() == PUBLIC_FIELDS
    assert "set-cookie" not in response.headers
    taken = await client.post(REGISTER, json={"email": "ADA@example.com", "password": PASSWORD})
    assert (taken.status_code, taken.headers["content-type"]) == (409, "application/problem+json")


async def test_concurrent_registrations_make_one_user(client: AsyncClient, database: Database) -> None:
    body = {"email": EMAIL, "password": PASSWORD}
    responses = await asyncio.gather(*(client.post(REGISTER, json=body) for _ in range(5)))
    assert sorted(response.status_code for response in responses) == [201] + [409] * 4
    assert await count(database, User) == 1


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"email": EMAIL, "password": "Sh0rt!!"}, "password"),
    ({"email": EMAIL, "password": "Sh0rt!!" * 200}, "password"),
    ({"email": EMAIL, "password": ["Sh0rt!!"]}, "password"),
    ({"email": EMAIL}, "password"),
    ({"email": "ada", "password": "Sh0rt!! but long"}, "email"),
    ({"email": "ada\0@example.com", "password": "Sh0rt!! but long"}, "email"),
    ({"password": "Sh0rt!! but long"}, "email"),
]


async def test_invalid_input_names_the_field_without_the_password(client: AsyncClient) -> None:
    for body, field in INVALID:
        response = await client.post(REGISTER, json=body)
        assert invalid_fields(response) == [[field]], body
        assert "Sh0rt!!" not in response.text
    response = await client.post(LOGIN, data={"password": "Sh0rt!!"})
    assert invalid_fields(response) == [["username"]]
    assert "Sh0rt!!" not in response.text
    half_a_character = b'{"email": "ada@example.com", "password": "\\ud800 and more"}'
    headers = {"Content-Type": "application/json"}
    assert (await client.post(REGISTER, content=half_a_character, headers=headers)).status_code == 422


async def test_any_user_costs_one_hash(client: AsyncClient, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    original = hashing.password_helper

    class Spy:
        def hash(self, password: str) -> str:
            calls.append("hash")
            return original.hash(password)

        def verify_and_update(self, plain_password: str, hashed_password: str) -> tuple[bool, str | None]:
            calls.append("verify")
            return original.verify_and_update(plain_password, hashed_password)

    monkeypatch.setattr(hashing, "password_helper", Spy())
    for email in (user.email, "eve@example.com"):
        await login(client, "not the password", email)
    assert calls == ["verify", "hash"]


@pytest.fixture
async def ada_client(client: AsyncClient, database: Database) -> AsyncClient:
    """A client with the token of a sign-in."""
    await make_user(database, EMAIL, is_verified=True)
    response = await login(client, email="ADA@example.com")
    assert (response.status_code, response.json()["token_type"]) == (200, "bearer")
    assert response.headers["cache-control"] == "no-store, no-transform"
    client.headers.update(bearer(response.json()["access_token"]))
    return client


async def test_new_password_ends_the_token(ada_client: AsyncClient, database: Database) -> None:
    unchanged_user = await read_one(database, User)
    new_password = {"password": NEW_PASSWORD}
    for proof in ({}, {"current_password": ""}, {"current_password": "not the password"}):
        assert invalid_fields(await ada_client.patch(ME, json=new_password | proof)) == [["current_password"]]
    weak = {"password": "password", "current_password": PASSWORD}
    assert invalid_fields(await ada_client.patch(ME, json=weak)) == [["password"]]
    assert await read_one(database, User) == unchanged_user
    response = await ada_client.patch(ME, json=new_password | {"current_password": PASSWORD})
    assert (response.status_code, response.json().keys()) == (200, PUBLIC_FIELDS)
    assert (await ada_client.get(ME)).status_code == 401
    assert [(await login(ada_client, password)).status_code for password in (PASSWORD, NEW_PASSWORD)] == [401, 200]


async def test_new_email_is_used_immediately_without_mail(
    ada_client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile, "email_is_enabled", lambda settings: False)
    await make_user(database, "bob@example.com")
    taken = {"email": "BOB@example.com", "password": NEW_PASSWORD, "current_password": PASSWORD}
    assert (await ada_client.patch(ME, json=taken)).status_code == 409
    assert (await login(ada_client)).status_code == 200, "nothing was changed"
    response = await ada_client.patch(ME, json={"email": "New@Example.com", "current_password": PASSWORD})
    assert response.status_code == 200
    assert not (await read_one(database, User, email="new@example.com")).is_verified


async def test_password_keeps_its_white_space(client: AsyncClient) -> None:
    await client.post(REGISTER, json={"email": EMAIL, "password": "  correct horse  "})
    for password, api_status, page_status in (("  correct horse  ", 200, 303), ("correct horse", 401, 422)):
        page = await client.post("/accounts/login", data={"email": EMAIL, "password": password})
        assert ((await login(client, password)).status_code, page.status_code) == (api_status, page_status)
