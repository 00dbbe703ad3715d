"""Hashing takes its time, and meanwhile the owner gives the account another password."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pyotp
import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import func, select, text, update

from opportune.accounts.emails import signed_links
from opportune.accounts.management import set_password
from opportune.accounts.models import ApiToken, Session, User
from opportune.accounts.passwords import hashing
from opportune.accounts.schemas import Credentials
from opportune.accounts.sessions.service import create_session
from opportune.accounts.sign_in_methods import totp
from opportune.accounts.users.factory import user_manager
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user, signed_in_client

EMAIL = "ada@example.com"
NEW, THIEFS = "another good password", "a password of the thief"


class Held:
    """The first hash is done and kept back until it is let go."""

    def __init__(self, work: Callable[..., Awaitable[Any]]) -> None:
        self.work = work
        self.done, self.let_go = asyncio.Event(), asyncio.Event()

    async def __call__(self, *given: str) -> Any:
        result = await self.work(*given)
        if not self.done.is_set():
            self.done.set()
            await self.let_go.wait()
        return result

    async def overtaken(self, request: Awaitable[Response], by: Awaitable[object]) -> Response:
        """The answer to a request whose hash is done before something else happens."""
        async with asyncio.timeout(30):
            task = asyncio.ensure_future(request)
            await self.done.wait()
            await by
            self.let_go.set()
            return await task


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    held = Held(hashing.verify_password)
    monkeypatch.setattr(hashing, "verify_password", held)
    return held


async def give_new_password(database: Database) -> None:
    async with database.writer() as session:
        await set_password(session, EMAIL, NEW)


async def deactivate(database: Database) -> None:
    async with database.writer() as session:
        await session.execute(update(User).values(is_active=False))


async def stored(database: Database) -> tuple[str, int]:
    """The hash of the one user, and the number of sessions."""
    async with database.reader() as session:
        user = (await session.scalars(select(User))).one()
        return user.hashed_password, await session.scalar(select(func.count()).select_from(Session)) or 0


@pytest.mark.parametrize(
    ("change", "address", "name", "status"),
    [
        pytest.param(give_new_password, "/accounts/login", "email", 422, marks=pytest.mark.database("sqlite")),
        pytest.param(deactivate, "/api/v1/auth/login", "username", 401, marks=pytest.mark.database("sqlite")),
        pytest.param(
            give_new_password, "/api/v1/auth/login", "username", 401, marks=pytest.mark.database("postgresql")
        ),
    ],
)
async def test_a_sign_in_fails(
    client: AsyncClient,
    database: Database,
    held: Held,
    change: Callable[[Database], Awaitable[None]],
    address: str,
    name: str,
    status: int,
) -> None:
    await make_user(database, EMAIL)

    request = client.post(address, data={name: EMAIL, "password": PASSWORD})
    answer = await held.overtaken(request, change(database))

    assert answer.status_code == status
    assert "access_token" not in answer.text
    assert (await stored(database))[1] == 0


@pytest.mark.database("sqlite")
async def test_a_better_hash_of_the_old_password_does_not_replace_the_new_one(
    client: AsyncClient, database: Database, held: Held
) -> None:
    old = Argon2Hasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    await make_user(database, EMAIL, hashed_password=old)

    request = client.post("/accounts/login", data={"email": EMAIL, "password": PASSWORD})
    answer = await held.overtaken(request, give_new_password(database))

    assert answer.status_code == 422
    assert (await hashing.verify_password(NEW, (await stored(database))[0]))[0]


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("way", ["page", "api"])
async def test_who_knows_the_old_password_cannot_set_another(
    app: FastAPI, database: Database, held: Held, way: str
) -> None:
    user = await make_user(database, EMAIL)
    async with signed_in_client(app, user) as thief:
        request = (
            thief.post("/accounts/password", data={"current_password": PASSWORD, "new_password": THIEFS})
            if way == "page"
            else thief.patch("/api/v1/users/me", json={"current_password": PASSWORD, "password": THIEFS})
        )
        answer = await held.overtaken(request, give_new_password(database))

    assert answer.status_code == 422
    assert "changed at the same moment" in answer.text
    hashed, count = await stored(database)
    assert (await hashing.verify_password(NEW, hashed))[0]
    assert count == 0


@pytest.mark.database("sqlite")
async def test_who_knows_the_old_password_cannot_delete_the_account(
    app: FastAPI, database: Database, held: Held
) -> None:
    async with signed_in_client(app, await make_user(database, EMAIL)) as thief:
        request = thief.request("DELETE", "/api/v1/users/me", json={"current_password": PASSWORD})
        answer = await held.overtaken(request, give_new_password(database))

    assert answer.status_code == 409
    assert (await hashing.verify_password(NEW, (await stored(database))[0]))[0]


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(
    ("address", "kind"), [("/accounts/tokens", "data"), ("/api/v1/users/me/tokens", "json")], ids=["page", "api"]
)
async def test_who_knows_the_old_password_gets_no_token(
    app: FastAPI, database: Database, held: Held, address: str, kind: str
) -> None:
    wanted: dict[str, Any] = {
        kind: {"name": "for later", "days": 365, "scopes": ["read"], "current_password": PASSWORD}
    }
    async with signed_in_client(app, await make_user(database, EMAIL)) as thief:
        answer = await held.overtaken(thief.post(address, **wanted), give_new_password(database))

    assert answer.status_code == (401 if kind == "json" else 303)
    async with database.reader() as session:
        assert await session.scalar(select(func.count()).select_from(ApiToken)) == 0


@pytest.mark.database("sqlite")
async def test_a_second_factor_that_was_begun_before_is_not_turned_on(database: Database, settings: Settings) -> None:
    user = await make_user(database, EMAIL)
    key = totp.start_setup(settings, user).key
    await give_new_password(database)

    async with database.writer() as session:
        assert await totp.enable(session, settings, user, key, pyotp.TOTP(key).now()) is None


@pytest.mark.database("postgresql")
async def test_a_new_password_waits_for_a_sign_in_that_was_earlier_and_ends_its_session(
    database: Database, settings: Settings
) -> None:
    await make_user(database, EMAIL)
    async with asyncio.timeout(30), database.writer() as session:
        user = await user_manager(session).authenticate(Credentials(username=EMAIL, password=PASSWORD))
        assert user is not None
        change = asyncio.create_task(give_new_password(database))
        while not await someone_waits(database):
            await asyncio.sleep(0.01)
        await create_session(session, settings, user)
    await change

    assert (await stored(database))[1] == 0


async def someone_waits(database: Database) -> bool:
    waiting = text(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    )
    async with database.reader() as session:
        return bool(await session.scalar(waiting))


@pytest.mark.database("sqlite")
async def test_a_link_proves_no_address_that_the_account_gets_meanwhile(
    client: AsyncClient, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await make_user(database, EMAIL)
    monkeypatch.setattr(hashing, "hash_password", held := Held(hashing.hash_password))
    token = signed_links.make_link_token(settings, "reset", user)

    request = client.post("/accounts/reset-password", data={"token": token, "password": NEW})
    answer = await held.overtaken(request, readdress(database))

    assert answer.status_code == 422
    async with database.reader() as session:
        (changed,) = await session.scalars(select(User))
    assert (changed.email, changed.is_verified) == ("stranger@example.com", False)


async def readdress(database: Database) -> None:
    async with database.writer() as session:
        await session.execute(update(User).values(email="stranger@example.com"))


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(("address", "name"), [("/accounts/login", "email"), ("/api/v1/auth/login", "username")])
async def test_who_signs_in_without_a_code_while_the_owner_begins_to_need_one_stays_out(
    client: AsyncClient, database: Database, settings: Settings, held: Held, address: str, name: str
) -> None:
    user = await make_user(database, EMAIL)
    key = totp.start_setup(settings, user).key

    async def turn_on() -> None:
        async with database.writer() as session:
            await totp.enable(session, settings, user, key, pyotp.TOTP(key).now())

    answer = await held.overtaken(client.post(address, data={name: EMAIL, "password": PASSWORD}), turn_on())

    assert "access_token" not in answer.text
    assert (await stored(database))[1] == 0
