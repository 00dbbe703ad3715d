"""Concurrent changes of the account while a password is hashed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pyotp
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import func, select, text, update

from opportune.accounts.emails import signed_links
from opportune.accounts.management import set_password
from opportune.accounts.models import ApiToken, Session, User
from opportune.accounts.passwords import hashing
from opportune.accounts.schemas import Credentials
from opportune.accounts.sessions.service import create_session
from opportune.accounts.sign_in_methods import second_factor
from opportune.accounts.users.context import user_manager
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user, signed_in_client

EMAIL = "ada@example.com"
NEW_PASSWORD, THIEF_PASSWORD = "another good password", "a password of the thief"


class PausedHash:
    """Wraps a hash function and pauses its first call until `resume` is set."""

    def __init__(self, hash_function: Callable[..., Awaitable[Any]]) -> None:
        self.hash_function = hash_function
        self.hashed, self.resume = asyncio.Event(), asyncio.Event()

    async def __call__(self, *args: str) -> Any:
        result = await self.hash_function(*args)
        if not self.hashed.is_set():
            self.hashed.set()
            await self.resume.wait()
        return result

    async def send_and_change(self, request: Awaitable[Response], change: Awaitable[object]) -> Response:
        """Send the request and change the account while the request waits. Return the response."""
        async with asyncio.timeout(30):
            task = asyncio.ensure_future(request)
            await self.hashed.wait()
            await change
            self.resume.set()
            return await task


@pytest.fixture
def paused_hash(monkeypatch: pytest.MonkeyPatch) -> PausedHash:
    paused_hash = PausedHash(hashing.verify_password)
    monkeypatch.setattr(hashing, "verify_password", paused_hash)
    return paused_hash


async def set_new_password(database: Database) -> None:
    async with database.writer() as session:
        await set_password(session, EMAIL, NEW_PASSWORD)


async def deactivate(database: Database) -> None:
    async with database.writer() as session:
        await session.execute(update(User).values(is_active=False))


async def read_hash_and_session_count(database: Database) -> tuple[str, int]:
    """Return the password hash of the user and the number of sessions."""
    async with database.reader() as session:
        user = (await session.scalars(select(User))).one()
        return user.hashed_password, await session.scalar(select(func.count()).select_from(Session)) or 0


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize(
    ("change", "address", "name", "status"),
    [
        pytest.param(set_new_password, "/accounts/login", "email", 422, marks=pytest.mark.database("sqlite")),
        pytest.param(deactivate, "/api/v1/auth/login", "username", 401, marks=pytest.mark.database("sqlite")),
        pytest.param(set_new_password, "/api/v1/auth/login", "username", 401, marks=pytest.mark.database("postgresql")),
    ],
)
async def test_concurrent_password_change_refuses_sign_in(
    client: AsyncClient,
    database: Database,
    paused_hash: PausedHash,
    change: Callable[[Database], Awaitable[None]],
    address: str,
    name: str,
    status: int,
) -> None:
    await make_user(database, EMAIL)

    request = client.post(address, data={name: EMAIL, "password": PASSWORD})
    response = await paused_hash.send_and_change(request, change(database))

    assert response.status_code == status
    assert "access_token" not in response.text
    assert (await read_hash_and_session_count(database))[1] == 0


async def test_rehash_keeps_a_new_password(client: AsyncClient, database: Database, paused_hash: PausedHash) -> None:
    old_hash = Argon2Hasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    await make_user(database, EMAIL, hashed_password=old_hash)

    request = client.post("/accounts/login", data={"email": EMAIL, "password": PASSWORD})
    response = await paused_hash.send_and_change(request, set_new_password(database))

    assert response.status_code == 422
    assert (await hashing.verify_password(NEW_PASSWORD, (await read_hash_and_session_count(database))[0]))[0]


@pytest.mark.parametrize("channel", ["page", "api"])
async def test_old_password_cannot_set_another(
    app: FastAPI, database: Database, paused_hash: PausedHash, channel: str
) -> None:
    user = await make_user(database, EMAIL)
    async with signed_in_client(app, user) as thief:
        request = (
            thief.post("/accounts/password", data={"current_password": PASSWORD, "new_password": THIEF_PASSWORD})
            if channel == "page"
            else thief.patch("/api/v1/users/me", json={"current_password": PASSWORD, "password": THIEF_PASSWORD})
        )
        response = await paused_hash.send_and_change(request, set_new_password(database))

    assert response.status_code == 422
    assert "changed at the same moment" in response.text
    password_hash, count = await read_hash_and_session_count(database)
    assert (await hashing.verify_password(NEW_PASSWORD, password_hash))[0]
    assert count == 0


async def test_old_password_cannot_delete_the_account(
    app: FastAPI, database: Database, paused_hash: PausedHash
) -> None:
    async with signed_in_client(app, await make_user(database, EMAIL)) as thief:
        request = thief.request("DELETE", "/api/v1/users/me", json={"current_password": PASSWORD})
        response = await paused_hash.send_and_change(request, set_new_password(database))

    assert response.status_code == 409
    assert (await hashing.verify_password(NEW_PASSWORD, (await read_hash_and_session_count(database))[0]))[0]


@pytest.mark.parametrize(
    ("address", "argument"), [("/accounts/tokens", "data"), ("/api/v1/users/me/tokens", "json")], ids=["page", "api"]
)
async def test_old_password_gets_no_token(
    app: FastAPI, database: Database, paused_hash: PausedHash, address: str, argument: str
) -> None:
    arguments: dict[str, Any] = {
        argument: {"name": "for later", "days": 365, "scopes": ["read"], "current_password": PASSWORD}
    }
    async with signed_in_client(app, await make_user(database, EMAIL)) as thief:
        response = await paused_hash.send_and_change(thief.post(address, **arguments), set_new_password(database))

    assert response.status_code == (401 if argument == "json" else 303)
    async with database.reader() as session:
        assert await session.scalar(select(func.count()).select_from(ApiToken)) == 0


async def test_older_two_factor_setup_is_refused(database: Database, settings: Settings) -> None:
    user = await make_user(database, EMAIL)
    key = second_factor.start_setup(settings, user).key
    await set_new_password(database)

    async with database.writer() as session:
        assert await second_factor.enable(session, settings, user, key, pyotp.TOTP(key).now()) is None


@pytest.mark.database("postgresql")
async def test_new_password_ends_a_concurrent_session(database: Database, settings: Settings) -> None:
    await make_user(database, EMAIL)
    async with asyncio.timeout(30), database.writer() as session:
        user = await user_manager(session).authenticate(Credentials(username=EMAIL, password=PASSWORD))
        assert user is not None
        change = asyncio.create_task(set_new_password(database))
        while not await has_waiting_lock(database):
            await asyncio.sleep(0.01)
        await create_session(session, settings, user)
    await change

    assert (await read_hash_and_session_count(database))[1] == 0


async def has_waiting_lock(database: Database) -> bool:
    query = text(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    )
    async with database.reader() as session:
        return bool(await session.scalar(query))


async def test_link_verifies_its_own_address_only(
    client: AsyncClient, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await make_user(database, EMAIL)
    monkeypatch.setattr(hashing, "hash_password", paused_hash := PausedHash(hashing.hash_password))
    token = signed_links.make_link_token(settings, "reset", user)

    request = client.post("/accounts/reset-password", data={"token": token, "password": NEW_PASSWORD})
    response = await paused_hash.send_and_change(request, change_email(database))

    assert response.status_code == 422
    async with database.reader() as session:
        (changed,) = await session.scalars(select(User))
    assert (changed.email, changed.is_verified) == ("stranger@example.com", False)


async def change_email(database: Database) -> None:
    async with database.writer() as session:
        await session.execute(update(User).values(email="stranger@example.com"))


@pytest.mark.parametrize(("address", "name"), [("/accounts/login", "email"), ("/api/v1/auth/login", "username")])
async def test_sign_in_without_a_new_second_factor_is_refused(
    client: AsyncClient, database: Database, settings: Settings, paused_hash: PausedHash, address: str, name: str
) -> None:
    user = await make_user(database, EMAIL)
    key = second_factor.start_setup(settings, user).key

    async def enable_totp() -> None:
        async with database.writer() as session:
            await second_factor.enable(session, settings, user, key, pyotp.TOTP(key).now())

    request = client.post(address, data={name: EMAIL, "password": PASSWORD})
    response = await paused_hash.send_and_change(request, enable_totp())

    assert "access_token" not in response.text
    assert (await read_hash_and_session_count(database))[1] == 0
