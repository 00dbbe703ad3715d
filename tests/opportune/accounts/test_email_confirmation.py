"""Confirmation of the identity by an e-mailed code."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from opportune.accounts.flows.confirmation import EMAILED_CODES_PER_USER
from opportune.accounts.models import Session, User
from opportune.db import Database, utc_now
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.accounts.authenticator_app import add_authenticator_app
from tests.opportune.accounts.email_sign_in.sign_in_emails import read_newest_code, wrong_code
from tests.opportune.accounts.sent_emails import EMAIL, settings
from tests.opportune.stored_rows import set_all

__all__ = ["settings"]  # a fixture
CONFIRMATION_PAGE = "/accounts/confirm/email"
CONFIRMATION_API = "/api/v1/users/me/confirmation/email"
RETURN_PATH = "/accounts/tokens"


@pytest.fixture
async def ada(database: Database) -> User:
    """A user who registered by a provider."""
    return await make_user(database, EMAIL, hashed_password="", is_verified=True)


async def backdate_sessions(database: Database) -> None:
    await set_all(database, Session, created_at=utc_now() - timedelta(hours=1))


@pytest.fixture
async def browser(app: FastAPI, database: Database, ada: User) -> AsyncIterator[AsyncClient]:
    """Ada's browser, in which she signed in an hour ago."""
    async with signed_in_client(app, ada) as client:
        await backdate_sessions(database)
        yield client


async def request_code(app: FastAPI, browser: AsyncClient) -> str:
    await browser.post(CONFIRMATION_PAGE)
    return await read_newest_code(app)


async def send_code(browser: AsyncClient, code: str, **fields: str) -> Response:
    return await browser.post(f"{CONFIRMATION_PAGE}/code", data={"code": code, **fields})


async def is_confirmed(client: AsyncClient) -> bool:
    """Return whether the confirmation page redirects."""
    return (await client.get("/accounts/confirm", params={"next": RETURN_PATH})).status_code == 303


async def test_emailed_code_confirms_on_the_page(app: FastAPI, browser: AsyncClient) -> None:
    assert "E-mail me a code" in (await browser.get("/accounts/confirm")).text
    redirect = await browser.post(CONFIRMATION_PAGE, data={"next": RETURN_PATH})
    assert "Type the code" in (await browser.get(redirect.headers["location"])).text
    code = await read_newest_code(app)
    assert (await send_code(browser, wrong_code(code))).status_code == 422
    assert not await is_confirmed(browser)
    response = await send_code(browser, code, next=RETURN_PATH)
    assert (response.status_code, response.headers["location"]) == (303, RETURN_PATH)
    assert await is_confirmed(browser)
    assert (await send_code(browser, code)).status_code == 422, "each code is valid once"


async def test_emailed_code_confirms_in_the_api(app: FastAPI, browser: AsyncClient) -> None:
    assert (await browser.post(CONFIRMATION_API)).status_code == 202
    code = await read_newest_code(app)
    assert (await browser.post(f"{CONFIRMATION_API}/code", json={"code": wrong_code(code)})).status_code == 422
    assert (await browser.post(f"{CONFIRMATION_API}/code", json={"code": code})).status_code == 204
    assert await is_confirmed(browser)


async def test_code_is_of_one_session(app: FastAPI, database: Database, ada: User, browser: AsyncClient) -> None:
    async with signed_in_client(app, ada) as other_browser:
        await backdate_sessions(database)
        code = await request_code(app, browser)
        assert (await send_code(other_browser, code)).status_code == 422
        assert (await send_code(browser, code)).status_code == 303


@pytest.mark.parametrize(("minutes", "status"), [(8, 303), (10, 422)])
async def test_code_lives_at_most_ten_minutes(
    app: FastAPI, browser: AsyncClient, monkeypatch: pytest.MonkeyPatch, minutes: int, status: int
) -> None:
    code, checked_at = await request_code(app, browser), utc_now() + timedelta(minutes=minutes)
    monkeypatch.setattr("opportune.accounts.flows.confirmation.utc_now", lambda: checked_at)
    assert (await send_code(browser, code)).status_code == status


async def test_codes_are_limited_per_day(app: FastAPI, browser: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert EMAILED_CODES_PER_USER.limit == 10
    monkeypatch.setattr(EMAILED_CODES_PER_USER, "limit", 2)
    code = await request_code(app, browser)
    assert [(await send_code(browser, wrong_code(code))).status_code for _ in range(2)] == [422] * 2
    refused = await send_code(browser, code)
    assert (refused.status_code, int(refused.headers["retry-after"]) > 80_000) == (429, True)
    assert not await is_confirmed(browser)


async def test_second_factor_is_required(app: FastAPI, database: Database, ada: User, browser: AsyncClient) -> None:
    authenticator = await add_authenticator_app(database, app.state.settings, ada)
    code = await request_code(app, browser)
    assert (await send_code(browser, code)).status_code == 422
    assert (await send_code(browser, code, second_factor=authenticator.code)).status_code == 303


async def test_email_confirmation_is_404_for_other_users(app: FastAPI, client: AsyncClient, database: Database) -> None:
    assert "/accounts/login" in (await client.post(CONFIRMATION_PAGE)).headers["location"]
    for fields in ({"is_verified": True}, {"hashed_password": ""}):
        async with signed_in_client(app, await make_user(database, **fields)) as other_browser:
            await backdate_sessions(database)
            assert "E-mail me a code" not in (await other_browser.get("/accounts/confirm")).text
            paths = (CONFIRMATION_PAGE, f"{CONFIRMATION_PAGE}/code", CONFIRMATION_API)
            assert {(await other_browser.post(path)).status_code for path in paths} == {404}
