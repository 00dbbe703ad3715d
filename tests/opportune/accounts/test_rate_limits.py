"""Limits on wrong passwords per account, IP address and trusted browser."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from opportune.accounts import attempts
from opportune.accounts.attempts import DatabaseStorage
from opportune.accounts.flows import sign_in
from opportune.accounts.models import Attempt, User
from opportune.config.settings import Settings
from opportune.db import Database, utc_now
from opportune.testing.app import create_test_app
from opportune.testing.factories import PASSWORD, make_user
from opportune.web.rate_limit import RateLimit
from tests.opportune.accounts.conftest import new_client
from tests.opportune.stored_rows import add_rows, read_all, read_one, set_all

EMAIL = "ada@example.com"
WRONG_PASSWORD = "not the password"
PAGE, API = "/accounts/login", "/api/v1/auth/login"


@pytest.fixture
async def other_browser(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with new_client(app, "203.0.113.9") as client:
        yield client


@pytest.fixture(autouse=True)
def _low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the limits, so that tests need fewer attempts."""
    for limit, number in (
        (sign_in.PASSWORDS_PER_ACCOUNT, 3),
        (sign_in.PASSWORDS_PER_DEVICE, 3),
        (sign_in.PASSWORDS_PER_IP, 6),
    ):
        monkeypatch.setattr(limit, "limit", number)


async def guess(client: AsyncClient, email: str = EMAIL, password: str = WRONG_PASSWORD) -> Response:
    return await client.post(PAGE, data={"email": email, "password": password})


async def guess_in_api(client: AsyncClient, email: str = EMAIL, password: str = WRONG_PASSWORD) -> Response:
    return await client.post(API, data={"username": email, "password": password})


async def lock_account(client: AsyncClient) -> None:
    for _ in range(sign_in.PASSWORDS_PER_ACCOUNT.limit):
        await guess(client)


async def test_wrong_passwords_of_an_account_are_limited(client: AsyncClient, user: User) -> None:
    statuses = [(await guess(client)).status_code for _ in range(2)]
    statuses.append((await guess_in_api(client, "  ADA@Example.com")).status_code)
    page, problem = await guess(client, password=PASSWORD), await guess_in_api(client, password=PASSWORD)
    assert statuses == [422, 422, 401]
    for response in (page, problem):
        assert response.status_code == 429
        assert 0 < int(response.headers["retry-after"]) <= 300
        assert "That was too often. Try again in" in response.text


async def test_limit_ends_when_the_clock_is_set_back(client: AsyncClient, user: User, database: Database) -> None:
    await lock_account(client)
    await set_all(database, Attempt, ends_at=utc_now() + timedelta(days=1))
    assert (await guess(client, password=PASSWORD)).status_code == 303
    await set_all(database, Attempt, count=3, ends_at=utc_now() + timedelta(days=1))
    await lock_account(client)
    refused = await guess(client, password=PASSWORD)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) <= 300


async def test_unknown_accounts_are_limited_and_keys_are_hashed(client: AsyncClient, database: Database) -> None:
    await lock_account(client)
    assert (await guess(client)).status_code == 429
    stored = "".join(row.model_dump_json() for row in await read_all(database, Attempt))
    assert "ada" not in stored
    assert "127.0.0.1" not in stored


async def test_wrong_passwords_per_ip_are_limited(client: AsyncClient, other_browser: AsyncClient, user: User) -> None:
    for number in range(sign_in.PASSWORDS_PER_IP.limit):
        client.headers["X-Forwarded-For"] = f"198.51.100.{number}"
        assert (await guess(client, f"user{number}@example.com")).status_code == 422
    assert (await guess(client, password=PASSWORD)).status_code == 429
    assert (await guess(other_browser, password=PASSWORD)).status_code == 303


@pytest.mark.database("postgresql")
async def test_concurrent_guesses_are_all_counted(client: AsyncClient, user: User) -> None:
    responses = await asyncio.gather(*(guess(client) for _ in range(6)))
    assert sorted(response.status_code for response in responses) == [422] * 3 + [429] * 3


@pytest.mark.database("sqlite", "postgresql")
async def test_sixteen_correct_sign_ins_at_once_are_accepted(client: AsyncClient, user: User) -> None:
    responses = await asyncio.gather(*(guess(client, password=PASSWORD) for _ in range(16)))
    assert [response.status_code for response in responses] == [303] * 16


@pytest.mark.database("sqlite", "postgresql")
async def test_right_guess_among_many_wrong_ones_is_refused(client: AsyncClient, user: User) -> None:
    # Passwords are verified in the order of the requests.
    guesses = [*(guess(client) for _ in range(8)), guess(client, password=PASSWORD)]
    responses = await asyncio.gather(*guesses)
    assert sorted({response.status_code for response in responses}) == [422, 429]


async def test_sign_in_keeps_the_count_of_its_address(client: AsyncClient, database: Database) -> None:
    await make_user(database, "eve@example.com")
    for number in range(sign_in.PASSWORDS_PER_IP.limit - 1):
        await guess(client, f"user{number}@example.com")
    client.cookies.clear()
    assert (await guess(client, "eve@example.com", PASSWORD)).status_code == 303
    client.cookies.clear()
    assert (await guess(client, "bob@example.com")).status_code == 422
    assert (await guess(client, "bob@example.com")).status_code == 429


async def test_lock_ends_after_its_time(client: AsyncClient, user: User, database: Database) -> None:
    await lock_account(client)
    await set_all(database, Attempt, ends_at=utc_now() - timedelta(seconds=1))
    assert (await guess(client, password=PASSWORD)).status_code == 303


async def test_trusted_browser_is_not_locked_out(client: AsyncClient, other_browser: AsyncClient, user: User) -> None:
    await guess(client, password=PASSWORD)
    await client.post("/accounts/logout")
    await lock_account(other_browser)
    assert (await guess(other_browser, password=PASSWORD)).status_code == 429
    assert (await guess(client, password=PASSWORD)).status_code == 303


async def test_trusted_browser_has_its_own_limit(
    client: AsyncClient, other_browser: AsyncClient, user: User, database: Database
) -> None:
    await make_user(database, "eve@example.com")
    await guess(client, "eve@example.com", PASSWORD)
    await lock_account(other_browser)
    assert (await guess(client)).status_code == 429
    for _ in range(sign_in.PASSWORDS_PER_DEVICE.limit):
        assert (await guess(client, "eve@example.com")).status_code == 422
    assert (await guess(client, "eve@example.com", PASSWORD)).status_code == 429
    client.cookies.set("browser", client.cookies["browser"] + "x", domain="testserver.local", path="/accounts")
    assert (await guess(client, "eve@example.com", PASSWORD)).status_code == 303


async def test_processes_share_the_counts(settings: Settings, client: AsyncClient) -> None:
    other_app = create_test_app(settings)
    async with other_app.router.lifespan_context(other_app), new_client(other_app) as other_client:
        for process in (client, other_client, client):
            assert (await guess(process)).status_code == 422
        assert (await guess(client)).status_code == 429
        assert (await guess(other_client)).status_code == 429


async def test_hits_delete_old_counts(client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "CLEANUP_EVERY_HITS", 1)
    for key, minutes in (("old", -1), ("new", 1)):
        await add_rows(database, Attempt(key=key, count=1, ends_at=utc_now() + timedelta(minutes=minutes)))
    await guess(client)
    keys = {attempt.key for attempt in await read_all(database, Attempt)}
    assert keys & {"old", "new"} == {"new"}


async def test_refunds_stop_at_zero(database: Database, settings: Settings) -> None:
    storage, hit = DatabaseStorage(database, settings), RateLimit("a test", 1).by("ada")
    await add_rows(database, Attempt(key=storage.key(hit), count=1, ends_at=utc_now()))
    for _ in range(2):
        async with database.writer() as session:
            await storage.refund(session, hit)
    assert (await read_one(database, Attempt)).count == 0
