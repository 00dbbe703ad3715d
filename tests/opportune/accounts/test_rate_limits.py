import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import func, select, update
from sqlmodel import col

from opportune.accounts.models import Attempt
from opportune.accounts.rate_limits import database_storage
from opportune.accounts.rate_limits.database_storage import DatabaseStorage
from opportune.accounts.sign_in import service
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.testing.factories import PASSWORD, make_user
from opportune.testing.quiet_app import quiet_app
from opportune.web.rate_limit import RateLimit

EMAIL = "ada@example.com"
WRONG = "not the password"
PAGE, API = "/accounts/login", "/api/v1/auth/login"

on_sqlite = pytest.mark.database("sqlite")


def client_of(app: FastAPI, address: str = "203.0.113.9") -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app, client=(address, 1)), base_url="http://testserver")


@pytest.fixture
async def elsewhere(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with client_of(app) as client:
        yield client


@pytest.fixture
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many guesses as a test needs: others count up to those of the site."""
    for limit, count in (
        (service.PASSWORDS_PER_ACCOUNT, 3),
        (service.PASSWORDS_PER_DEVICE, 3),
        (service.PASSWORDS_PER_ADDRESS, 6),
    ):
        monkeypatch.setattr(limit, "limit", count)


async def guess(client: AsyncClient, email: str = EMAIL, password: str = WRONG) -> Response:
    return await client.post(PAGE, data={"email": email, "password": password})


async def guess_by_program(client: AsyncClient, email: str = EMAIL, password: str = WRONG) -> Response:
    return await client.post(API, data={"username": email, "password": password})


async def lock(client: AsyncClient) -> None:
    for _ in range(service.PASSWORDS_PER_ACCOUNT.limit):
        await guess(client)


@on_sqlite
async def test_pages_and_programs_guess_at_an_account_ten_times_and_are_told_when_to_come_back(
    client: AsyncClient, database: Database
) -> None:
    await make_user(database, EMAIL)

    by_page = [(await guess(client)).status_code for _ in range(5)]
    by_program = [(await guess_by_program(client, "  ADA@Example.com")).status_code for _ in range(5)]
    form, problem = await guess(client, password=PASSWORD), await guess_by_program(client, password=PASSWORD)

    assert (by_page, by_program) == ([422] * 5, [401] * 5)
    for answer in (form, problem):
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 300
        assert "That was too often. Try again in" in answer.text


@on_sqlite
@pytest.mark.usefixtures("low_limits")
async def test_accounts_that_do_not_exist_are_limited_alike_and_the_table_tells_neither_who_nor_whence(
    client: AsyncClient, database: Database
) -> None:
    await lock(client)

    assert (await guess(client)).status_code == 429

    await guess(client)

    async with database.reader() as session:
        stored = "".join([row.model_dump_json() for row in await session.scalars(select(Attempt))])
    assert "ada" not in stored
    assert "127.0.0.1" not in stored


@on_sqlite
@pytest.mark.usefixtures("low_limits")
async def test_an_address_guesses_at_many_accounts_for_a_while_whatever_it_says_of_itself(
    client: AsyncClient, elsewhere: AsyncClient, database: Database
) -> None:
    await make_user(database, EMAIL)
    for number in range(service.PASSWORDS_PER_ADDRESS.limit):
        client.headers["X-Forwarded-For"] = f"198.51.100.{number}"
        assert (await guess(client, f"user{number}@example.com")).status_code == 422

    assert (await guess(client, password=PASSWORD)).status_code == 429
    assert (await guess(elsewhere, password=PASSWORD)).status_code == 303


@pytest.mark.database("postgresql")
@pytest.mark.usefixtures("low_limits")
async def test_guesses_at_once_do_not_slip_past(client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)

    answers = await asyncio.gather(*(guess(client) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [422] * 3 + [429] * 3


@pytest.mark.database("sqlite")
async def test_a_sign_in_does_not_count(client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)

    answers = await asyncio.gather(*(guess(client, password=PASSWORD) for _ in range(3)))
    for _ in range(2):
        answers.append(await guess_by_program(client, password=PASSWORD))

    assert {answer.status_code for answer in answers} == {303, 200}
    async with database.reader() as session:
        assert set(await session.scalars(select(col(Attempt.count)))) <= {0}


async def test_sixteen_correct_sign_ins_at_once_are_accepted(client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    answers = await asyncio.gather(*(guess(client, password=PASSWORD) for _ in range(16)))
    assert [answer.status_code for answer in answers] == [303] * 16


@pytest.mark.usefixtures("low_limits")
async def test_right_guess_among_many_wrong_ones_is_refused(client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    # Passwords are verified in the order of the requests.
    guesses = [*(guess(client) for _ in range(8)), guess(client, password=PASSWORD)]
    answers = await asyncio.gather(*guesses)
    assert sorted({answer.status_code for answer in answers}) == [422, 429]


@on_sqlite
@pytest.mark.usefixtures("low_limits")
async def test_a_sign_in_of_ones_own_does_not_forgive_what_an_address_has_guessed(
    client: AsyncClient, database: Database
) -> None:
    await make_user(database, "eve@example.com")
    for number in range(service.PASSWORDS_PER_ADDRESS.limit - 1):
        await guess(client, f"user{number}@example.com")
    client.cookies.clear()
    assert (await guess(client, "eve@example.com", PASSWORD)).status_code == 303
    client.cookies.clear()

    assert (await guess(client, "bob@example.com")).status_code == 422
    assert (await guess(client, "bob@example.com")).status_code == 429


@pytest.mark.database("sqlite")
@pytest.mark.usefixtures("low_limits")
async def test_the_lock_ends_by_itself(client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    await lock(client)
    async with database.writer() as session:
        await session.execute(update(Attempt).values(ends_at=utc_now() - timedelta(seconds=1)))

    assert (await guess(client, password=PASSWORD)).status_code == 303


@on_sqlite
@pytest.mark.usefixtures("low_limits")
async def test_a_browser_that_has_signed_in_before_gets_in_while_strangers_keep_the_account_locked(
    client: AsyncClient, elsewhere: AsyncClient, database: Database
) -> None:
    await make_user(database, EMAIL)
    await guess(client, password=PASSWORD)
    await client.post("/accounts/logout")
    await lock(elsewhere)
    assert (await guess(elsewhere, password=PASSWORD)).status_code == 429

    assert (await guess(client, password=PASSWORD)).status_code == 303


@on_sqlite
@pytest.mark.usefixtures("low_limits")
async def test_a_known_browser_is_limited_too_and_known_for_no_other_account(
    client: AsyncClient, elsewhere: AsyncClient, database: Database
) -> None:
    await make_user(database, EMAIL)
    await make_user(database, "eve@example.com")
    await guess(client, "eve@example.com", PASSWORD)
    await lock(elsewhere)
    assert (await guess(client)).status_code == 429

    for _ in range(service.PASSWORDS_PER_DEVICE.limit):
        assert (await guess(client, "eve@example.com")).status_code == 422
    assert (await guess(client, "eve@example.com", PASSWORD)).status_code == 429
    client.cookies.set("browser", client.cookies["browser"] + "x", domain="testserver.local", path="/accounts")
    assert (await guess(client, "eve@example.com", PASSWORD)).status_code == 303


@pytest.mark.database("sqlite")
@pytest.mark.usefixtures("low_limits")
async def test_two_processes_count_together(app: FastAPI, settings: Settings, client: AsyncClient) -> None:
    other = quiet_app(settings)
    async with other.router.lifespan_context(other), client_of(other) as there:
        for process in (client, there, client):
            assert (await guess(process)).status_code == 422

        assert (await guess(client)).status_code == 429
        assert (await guess(there)).status_code == 429


@pytest.mark.database("sqlite")
async def test_what_is_over_is_swept_out_and_what_is_not_stays(client: AsyncClient, database: Database) -> None:
    await guess(client)
    async with database.writer() as session:
        old = utc_now() - timedelta(seconds=1)
        session.add_all(Attempt(key=str(number), count=1, ends_at=old) for number in range(5))

    async with database.writer() as session:
        assert await database_storage.delete_expired(session) == 5

    async with database.reader() as session:
        assert await session.scalar(select(func.count()).select_from(Attempt)) == 2


@on_sqlite
async def test_counting_sweeps_now_and_then(
    client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_storage, "CLEANUP_EVERY_HITS", 1)
    async with database.writer() as session:
        session.add(Attempt(key="old", count=1, ends_at=utc_now() - timedelta(seconds=1)))

    await guess(client)

    async with database.reader() as session:
        assert "old" not in set(await session.scalars(select(col(Attempt.key))))


@pytest.mark.database("sqlite")
async def test_what_is_refunded_never_gets_below_nothing(database: Database, settings: Settings) -> None:
    storage, hit = DatabaseStorage(database, settings), RateLimit("a test", 1).by("ada")
    async with database.writer() as session:
        session.add(Attempt(key=storage.key(hit), count=1, ends_at=utc_now()))
    for _ in range(2):
        async with database.writer() as session:
            await storage.refund(session, hit)

    async with database.reader() as session:
        assert await session.scalar(select(col(Attempt.count))) == 0
