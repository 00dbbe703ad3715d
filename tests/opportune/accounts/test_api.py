import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlalchemy import select

from opportune.accounts.models import User
from opportune.accounts.passwords import hashing
from opportune.accounts.profile import service as profile
from opportune.accounts.users.schemas import UserRead
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user, signed_in_client

# That an address is taken on both kinds is asked of the pages and of the database itself.
pytestmark = pytest.mark.database("sqlite")

EMAIL = "ada@example.com"
NEW = "another good password"
REGISTER, LOGIN, ME = "/api/v1/auth/register", "/api/v1/auth/login", "/api/v1/users/me"
SHOWN = UserRead.model_fields.keys()
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


async def stored(database: Database) -> User:
    async with database.reader() as session:
        return (await session.scalars(select(User))).one()


def fields(answer: Response) -> list[list[str]]:
    assert answer.status_code == 422
    return [error["field"] for error in answer.json()["errors"]]


async def test_registering_shows_the_user_without_secrets_and_gives_nobody_privileges(
    client: AsyncClient, database: Database
) -> None:
    answer = await client.post(REGISTER, json={"email": "Ada@Example.com", "password": PASSWORD})

    assert answer.status_code == 201
    assert answer.json().keys() == SHOWN
    assert answer.json()["email"] == EMAIL
    assert "set-cookie" not in answer.headers

    await client.post(REGISTER, json={**PRIVILEGES, "email": EMAIL, "password": PASSWORD})

    user = await stored(database)
    assert (user.is_superuser, user.is_staff, user.is_verified, user.is_active) == (False, False, False, True)
    assert user.id != 77
    assert user.created_at.year > 2001


async def test_a_taken_email_is_a_conflict(client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)

    answer = await client.post(REGISTER, json={"email": "ADA@example.com", "password": PASSWORD})

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"


async def test_registrations_at_once_make_one_user(client: AsyncClient, database: Database) -> None:
    body = {"email": EMAIL, "password": PASSWORD}

    answers = await asyncio.gather(*(client.post(REGISTER, json=body) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 4
    assert (await stored(database)).email == EMAIL


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"email": EMAIL, "password": "Sh0rt!!"}, "password"),
    ({"email": EMAIL, "password": "Sh0rt!!" * 200}, "password"),
    ({"email": EMAIL, "password": ["Sh0rt!!"]}, "password"),
    ({"email": EMAIL}, "password"),
    ({"email": "ada", "password": "Sh0rt!! but long"}, "email"),
    ({"email": "ada\0@example.com", "password": "Sh0rt!! but long"}, "email"),
    ({"password": "Sh0rt!! but long"}, "email"),
]


async def test_an_invalid_registration_or_sign_in_names_the_field_and_repeats_no_password(client: AsyncClient) -> None:
    for body, field in INVALID:
        answer = await client.post(REGISTER, json=body)

        assert fields(answer) == [[field]], body
        assert "Sh0rt!!" not in answer.text

    content = b'{"email": "ada@example.com", "password": "\\ud800 and more"}'

    answer = await client.post(REGISTER, content=content, headers={"Content-Type": "application/json"})

    assert answer.status_code == 422

    answer = await client.post(LOGIN, data={"password": "Sh0rt!!"})

    assert fields(answer) == [["username"]]
    assert "Sh0rt!!" not in answer.text

    assert (await client.get(ME)).status_code == 401
    assert (await client.patch(ME, json={"email": EMAIL})).status_code == 401


async def test_signing_in_gives_a_bearer_token(client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)

    answer = await login(client, email="ADA@example.com")

    assert answer.status_code == 200
    assert answer.json()["token_type"] == "bearer"
    assert answer.headers["cache-control"] == "no-store, no-transform"
    await authorize(client)
    assert (await client.get(ME)).json()["email"] == EMAIL


async def test_a_failed_sign_in_does_not_tell_why(client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    await make_user(database, "off@example.com", is_active=False)
    wrong = [(EMAIL, "not the password"), (EMAIL, "x" * 5000)]
    for email, password in (*wrong, ("eve@example.com", PASSWORD), ("off@example.com", PASSWORD)):
        answer = await login(client, password, email)

        assert answer.status_code == 401, email
        assert answer.json()["detail"] == "E-mail or password is wrong."


async def test_every_sign_in_hashes_once_whether_or_not_the_user_exists(
    client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_user(database, EMAIL)
    hashed: list[str] = []
    inner = hashing.password_helper

    class Spy:
        def hash(self, password: str) -> str:
            hashed.append("hash")
            return inner.hash(password)

        def verify_and_update(self, plain_password: str, hashed_password: str) -> tuple[bool, str | None]:
            hashed.append("verify")
            return inner.verify_and_update(plain_password, hashed_password)

    monkeypatch.setattr(hashing, "password_helper", Spy())

    for email in (EMAIL, "eve@example.com"):
        await login(client, "not the password", email)

    assert hashed == ["verify", "hash"]


@pytest.mark.database("postgresql")
async def test_what_nobody_can_have_is_invalid_at_a_sign_in_and_a_name_with_nul_is_no_crash(
    client: AsyncClient,
) -> None:
    for kind in ("username", "password"):
        answer = await client.post(LOGIN, data={"username": EMAIL, "password": PASSWORD, kind: "nul\0"})

        assert fields(answer) == [[kind]]

    assert (await login(client, email="ada\0")).status_code in (401, 422)


@pytest.fixture
async def ada(client: AsyncClient, database: Database) -> AsyncClient:
    """Ada's program, with her token."""
    await make_user(database, EMAIL, is_verified=True)
    await authorize(client)
    return client


async def test_nobody_gives_themselves_privileges_and_a_new_password_needs_the_current_one(
    ada: AsyncClient, database: Database
) -> None:
    before = await stored(database)

    forged = {**PRIVILEGES, "is_verified": False, "current_password": PASSWORD}
    answer = await ada.patch(ME, json=forged)

    assert answer.status_code == 200
    assert await stored(database) == before

    before = await stored(database)

    for current in ({}, {"current_password": ""}, {"current_password": "not the password"}):
        assert fields(await ada.patch(ME, json={"password": NEW, **current})) == [["current_password"]]

    assert await stored(database) == before


async def test_a_new_password_ends_tokens_and_sessions(ada: AsyncClient, app: FastAPI, database: Database) -> None:
    async with signed_in_client(app, await stored(database)) as browser:
        answer = await ada.patch(ME, json={"password": NEW, "current_password": PASSWORD})

        assert answer.status_code == 200
        assert answer.json().keys() == SHOWN
        assert (await browser.get("/accounts/profile")).status_code == 303
    assert (await ada.get(ME)).status_code == 401
    assert (await login(ada)).status_code == 401
    assert (await login(ada, NEW)).status_code == 200


async def test_a_weak_new_password_is_refused_and_the_same_email_in_another_case_is_no_change(ada: AsyncClient) -> None:
    assert fields(await ada.patch(ME, json={"password": "password", "current_password": PASSWORD})) == [["password"]]
    assert (await ada.get(ME)).status_code == 200

    answer = await ada.patch(ME, json={"email": "ADA@example.com"})

    assert answer.status_code == 200
    assert answer.json()["is_verified"]


async def test_a_new_email_needs_the_password_and_waits_for_a_link(ada: AsyncClient, database: Database) -> None:
    assert fields(await ada.patch(ME, json={"email": "new@example.com"})) == [["current_password"]]

    answer = await ada.patch(ME, json={"email": "New@Example.com", "current_password": PASSWORD})

    assert (answer.status_code, answer.json()["email"]) == (202, EMAIL)
    user = await stored(database)
    assert (user.email, user.is_verified) == (EMAIL, True)


@pytest.fixture
def email_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in production without a mail server."""
    monkeypatch.setattr(profile, "email_is_enabled", lambda settings: False)


@pytest.mark.usefixtures("email_off")
async def test_a_new_email_counts_at_once_and_unverified_where_no_emails_leave(
    ada: AsyncClient, database: Database
) -> None:
    answer = await ada.patch(ME, json={"email": "New@Example.com", "current_password": PASSWORD})

    assert answer.status_code == 200
    user = await stored(database)
    assert (user.email, user.is_verified) == ("new@example.com", False)


@pytest.mark.usefixtures("email_off")
async def test_another_ones_email_is_a_conflict_that_changes_nothing(ada: AsyncClient, database: Database) -> None:
    await make_user(database, "bob@example.com")
    wanted = {"email": "BOB@example.com", "password": NEW, "current_password": PASSWORD}

    assert (await ada.patch(ME, json=wanted)).status_code == 409
    assert (await login(ada)).status_code == 200


SPACED = "  correct horse  "


async def test_white_space_around_a_password_counts_everywhere(client: AsyncClient) -> None:
    await client.post(REGISTER, json={"email": EMAIL, "password": SPACED})

    assert (await login(client, SPACED)).status_code == 200
    assert (await login(client, SPACED.strip())).status_code == 401
    for password, status in ((SPACED, 303), (SPACED.strip(), 422)):
        answer = await client.post("/accounts/login", data={"email": EMAIL, "password": password})
        assert answer.status_code == status


async def test_white_space_around_a_new_password_counts(ada: AsyncClient) -> None:
    await ada.patch(ME, json={"password": SPACED, "current_password": PASSWORD})
    await authorize(ada, SPACED)
    wanted = {"email": "new@example.com", "current_password": SPACED}

    assert (await ada.patch(ME, json={**wanted, "current_password": SPACED.strip()})).status_code == 422
    assert (await ada.patch(ME, json=wanted)).status_code == 202


async def test_when_too_many_sign_in_programs_are_told_to_come_back(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "MAX_WAITING_HASHES", 0)

    registering = client.post(REGISTER, json={"email": EMAIL, "password": PASSWORD})
    for answer in (await login(client), await registering):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert "Too many people" in answer.json()["detail"]
