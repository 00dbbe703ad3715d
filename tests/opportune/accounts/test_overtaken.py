"""Concurrent changes of the account while a password is hashed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pyotp
import pytest
from httpx2 import AsyncClient, Response
from pwdlib.hashers.argon2 import Argon2Hasher

from opportune.accounts import signed_links
from opportune.accounts.management import set_password
from opportune.accounts.models import ApiToken, Session, User
from opportune.accounts.passwords import hashing
from opportune.accounts.schemas import Credentials
from opportune.accounts.sessions.service import create_session
from opportune.accounts.sign_in_methods import second_factor
from opportune.accounts.users.context import user_manager
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user
from tests.opportune.accounts.authenticator_app import add_authenticator_app
from tests.opportune.stored_rows import has_waiting_lock, read_all, read_one, set_all

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
    await set_all(database, User, is_active=False)


async def add_second_factor(database: Database) -> None:
    await add_authenticator_app(database, database.settings, await read_one(database, User))


async def has_new_password(database: Database) -> bool:
    hashed_password = (await read_one(database, User)).hashed_password
    return (await hashing.verify_password(NEW_PASSWORD, hashed_password))[0]


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize(
    ("change", "address", "name", "status"),
    [
        pytest.param(deactivate, "/api/v1/auth/login", "username", 401, marks=pytest.mark.database("sqlite")),
        pytest.param(set_new_password, "/api/v1/auth/login", "username", 401, marks=pytest.mark.database("postgresql")),
        pytest.param(add_second_factor, "/accounts/login", "email", 422, marks=pytest.mark.database("sqlite")),
    ],
)
@pytest.mark.usefixtures("user")
async def test_concurrent_change_of_the_account_refuses_sign_in(
    client: AsyncClient,
    database: Database,
    paused_hash: PausedHash,
    change: Callable[[Database], Awaitable[None]],
    address: str,
    name: str,
    status: int,
) -> None:
    request = client.post(address, data={name: EMAIL, "password": PASSWORD})
    response = await paused_hash.send_and_change(request, change(database))
    assert response.status_code == status
    assert "access_token" not in response.text
    assert await read_all(database, Session) == []


async def test_rehash_keeps_a_new_password(client: AsyncClient, database: Database, paused_hash: PausedHash) -> None:
    old_hash = Argon2Hasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    await make_user(database, EMAIL, hashed_password=old_hash)
    request = client.post("/accounts/login", data={"email": EMAIL, "password": PASSWORD})
    assert (await paused_hash.send_and_change(request, set_new_password(database))).status_code == 422
    assert await has_new_password(database)


async def test_old_password_sets_none(user_client: AsyncClient, database: Database, paused_hash: PausedHash) -> None:
    form = {"current_password": PASSWORD, "new_password": THIEF_PASSWORD}
    request = user_client.post("/accounts/password", data=form)
    response = await paused_hash.send_and_change(request, set_new_password(database))
    assert (response.status_code, "changed at the same moment" in response.text) == (422, True)
    assert await has_new_password(database)
    assert await read_all(database, Session) == []


async def test_old_password_deletes_none(user_client: AsyncClient, database: Database, paused_hash: PausedHash) -> None:
    request = user_client.request("DELETE", "/api/v1/users/me", json={"current_password": PASSWORD})
    assert (await paused_hash.send_and_change(request, set_new_password(database))).status_code == 409
    assert await has_new_password(database)


async def test_no_token_for_old_password(user_client: AsyncClient, database: Database, paused_hash: PausedHash) -> None:
    new_token = {"name": "for later", "days": 365, "scopes": ["read"], "current_password": PASSWORD}
    request = user_client.post("/api/v1/users/me/tokens", json=new_token)
    assert (await paused_hash.send_and_change(request, set_new_password(database))).status_code == 401
    assert await read_all(database, ApiToken) == []


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
    assert await read_all(database, Session) == []


async def test_older_two_factor_setup_is_refused(database: Database, settings: Settings, user: User) -> None:
    key = second_factor.start_setup(settings, user).key
    await set_new_password(database)
    async with database.writer() as session:
        assert await second_factor.enable(session, settings, user, key, pyotp.TOTP(key).now()) is None


async def test_link_verifies_its_own_address_only(
    client: AsyncClient, database: Database, settings: Settings, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "hash_password", paused_hash := PausedHash(hashing.hash_password))
    form = {"token": signed_links.make_link_token(settings, "reset", user), "password": NEW_PASSWORD}
    request = client.post("/accounts/reset-password", data=form)
    response = await paused_hash.send_and_change(request, set_all(database, User, email="stranger@example.com"))
    assert response.status_code == 422
    changed = await read_one(database, User)
    assert (changed.email, changed.is_verified) == ("stranger@example.com", False)
