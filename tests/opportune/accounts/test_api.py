"""API for registration, sign-in and the user's own account."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import select

from opportune.accounts.models import User
from opportune.accounts.passwords import hashing
from opportune.accounts.profile import service as profile
from opportune.accounts.users.schemas import UserRead
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user, signed_in_client

EMAIL = "ada@example.com"
NEW_PASSWORD = "another good password"
REGISTER, LOGIN, ME = "/api/v1/auth/register", "/api/v1/auth/login", "/api/v1/users/me"
PUBLIC_FIELDS = UserRead.model_fields.keys()
PRIVILEGES = {
    "id": 77,
    "is_staff": True,
    "is_superuser": True,
    "is_verified": True,
    "is_active": False,
    "hashed_password": "x",
    "created_at": "2001-01-01T00:00:00Z",
}


async def login(client: AsyncClient, password: str = PASSWORD, email: str = EMAIL) -> Response:
    return await client.post(LOGIN, data={"username": email, "password": password})


async def authorize(client: AsyncClient, password: str = PASSWORD) -> None:
    client.headers["Authorization"] = f"Bearer {(await login(client, password)).json()['access_token']}"


async def read_user(database: Database) -> User:
    async with database.reader() as session:
        return (await session.scalars(select(User))).one()


def invalid_fields(response: Response) -> list[list[str]]:
    assert response.status_code == 422
    return [error["field"] for error in response.json()["errors"]]


async def test_registration_returns_the_user_without_secrets(client: AsyncClient, database: Database) -> None:
    response = await client.post(REGISTER, json={"email": "Ada@Example.com", "password": PASSWORD})

    assert response.status_code == 201
    assert response.json().keys() == PUBLIC_FIELDS
    assert response.json()["email"] == EMAIL
    assert "set-cookie" not in response.headers

    await client.post(REGISTER, json={**PRIVILEGES, "email": EMAIL, "password": PASSWORD})

    user = await read_user(database)
    assert not user.is_superuser
    assert not user.is_staff
    assert not user.is_verified
    assert user.is_active
    assert user.id != 77
    assert user.created_at.year > 2001


async def test_taken_email_is_a_conflict(client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)

    response = await client.post(REGISTER, json={"email": "ADA@example.com", "password": PASSWORD})

    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"


async def test_concurrent_registrations_make_one_user(client: AsyncClient, database: Database) -> None:
    body = {"email": EMAIL, "password": PASSWORD}

    responses = await asyncio.gather(*(client.post(REGISTER, json=body) for _ in range(5)))

    assert sorted(response.status_code for response in responses) == [201] + [409] * 4
    assert (await read_user(database)).email == EMAIL


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

    content = b'{"email": "ada@example.com", "password": "\\ud800 and more"}'

    response = await client.post(REGISTER, content=content, headers={"Content-Type": "application/json"})

    assert response.status_code == 422

    response = await client.post(LOGIN, data={"password": "Sh0rt!!"})

    assert invalid_fields(response) == [["username"]]
    assert "Sh0rt!!" not in response.text

    assert (await client.get(ME)).status_code == 401
    assert (await client.patch(ME, json={"email": EMAIL})).status_code == 401


async def test_sign_in_returns_a_bearer_token(client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)

    response = await login(client, email="ADA@example.com")

    assert response.status_code == 200
    assert response.json()["token_type"] == "bearer"
    assert response.headers["cache-control"] == "no-store, no-transform"
    await authorize(client)
    assert (await client.get(ME)).json()["email"] == EMAIL


async def test_failed_sign_in_does_not_reveal_the_reason(client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    await make_user(database, "off@example.com", is_active=False)
    wrong_passwords = [(EMAIL, "not the password"), (EMAIL, "x" * 5000)]
    for email, password in (*wrong_passwords, ("eve@example.com", PASSWORD), ("off@example.com", PASSWORD)):
        response = await login(client, password, email)

        assert response.status_code == 401, email
        assert response.json()["detail"] == "E-mail or password is wrong."


async def test_sign_in_hashes_once_for_known_and_unknown_users(
    client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_user(database, EMAIL)
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

    for email in (EMAIL, "eve@example.com"):
        await login(client, "not the password", email)

    assert calls == ["verify", "hash"]


@pytest.mark.database("postgresql")
async def test_impossible_credentials_are_invalid(client: AsyncClient) -> None:
    for location in ("username", "password"):
        response = await client.post(LOGIN, data={"username": EMAIL, "password": PASSWORD, location: "nul\0"})

        assert invalid_fields(response) == [[location]]

    assert (await login(client, email="ada\0")).status_code in (401, 422)


@pytest.fixture
async def ada_client(client: AsyncClient, database: Database) -> AsyncClient:
    """A client with Ada's token."""
    await make_user(database, EMAIL, is_verified=True)
    await authorize(client)
    return client


async def test_user_cannot_set_guarded_fields(ada_client: AsyncClient, database: Database) -> None:
    unchanged_user = await read_user(database)

    forged = {**PRIVILEGES, "is_verified": False, "current_password": PASSWORD}
    response = await ada_client.patch(ME, json=forged)

    assert response.status_code == 200
    assert await read_user(database) == unchanged_user

    unchanged_user = await read_user(database)

    for proof in ({}, {"current_password": ""}, {"current_password": "not the password"}):
        assert invalid_fields(await ada_client.patch(ME, json={"password": NEW_PASSWORD, **proof})) == [
            ["current_password"]
        ]

    assert await read_user(database) == unchanged_user


async def test_new_password_ends_tokens_and_sessions(ada_client: AsyncClient, app: FastAPI, database: Database) -> None:
    async with signed_in_client(app, await read_user(database)) as browser:
        response = await ada_client.patch(ME, json={"password": NEW_PASSWORD, "current_password": PASSWORD})

        assert response.status_code == 200
        assert response.json().keys() == PUBLIC_FIELDS
        assert (await browser.get("/accounts/profile")).status_code == 303
    assert (await ada_client.get(ME)).status_code == 401
    assert (await login(ada_client)).status_code == 401
    assert (await login(ada_client, NEW_PASSWORD)).status_code == 200


async def test_weak_password_is_refused_and_case_of_email_ignored(ada_client: AsyncClient) -> None:
    assert invalid_fields(await ada_client.patch(ME, json={"password": "password", "current_password": PASSWORD})) == [
        ["password"]
    ]
    assert (await ada_client.get(ME)).status_code == 200

    response = await ada_client.patch(ME, json={"email": "ADA@example.com"})

    assert response.status_code == 200
    assert response.json()["is_verified"]


async def test_new_email_needs_password_and_link(ada_client: AsyncClient, database: Database) -> None:
    assert invalid_fields(await ada_client.patch(ME, json={"email": "new@example.com"})) == [["current_password"]]

    response = await ada_client.patch(ME, json={"email": "New@Example.com", "current_password": PASSWORD})

    assert (response.status_code, response.json()["email"]) == (202, EMAIL)
    user = await read_user(database)
    assert (user.email, user.is_verified) == (EMAIL, True)


@pytest.fixture
def email_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable e-mail, as in production without a mail server."""
    monkeypatch.setattr(profile, "email_is_enabled", lambda settings: False)


@pytest.mark.usefixtures("email_off")
async def test_new_email_is_used_immediately_without_mail(ada_client: AsyncClient, database: Database) -> None:
    response = await ada_client.patch(ME, json={"email": "New@Example.com", "current_password": PASSWORD})

    assert response.status_code == 200
    user = await read_user(database)
    assert (user.email, user.is_verified) == ("new@example.com", False)


@pytest.mark.usefixtures("email_off")
async def test_email_of_another_user_is_a_conflict(ada_client: AsyncClient, database: Database) -> None:
    await make_user(database, "bob@example.com")
    changes = {"email": "BOB@example.com", "password": NEW_PASSWORD, "current_password": PASSWORD}

    assert (await ada_client.patch(ME, json=changes)).status_code == 409
    assert (await login(ada_client)).status_code == 200


SPACED = "  correct horse  "


async def test_password_keeps_its_white_space(client: AsyncClient) -> None:
    await client.post(REGISTER, json={"email": EMAIL, "password": SPACED})

    assert (await login(client, SPACED)).status_code == 200
    assert (await login(client, SPACED.strip())).status_code == 401
    for password, status in ((SPACED, 303), (SPACED.strip(), 422)):
        response = await client.post("/accounts/login", data={"email": EMAIL, "password": password})
        assert response.status_code == status


async def test_full_hash_queue_is_503_in_the_api(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "MAX_WAITING_HASHES", 0)

    registration = client.post(REGISTER, json={"email": EMAIL, "password": PASSWORD})
    for response in (await login(client), await registration):
        assert (response.status_code, response.headers["retry-after"]) == (503, "2")
        assert "Too many users" in response.json()["detail"]
