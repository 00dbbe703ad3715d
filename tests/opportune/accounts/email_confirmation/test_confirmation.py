"""Confirmation of the identity by an e-mailed code."""

from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import update

from opportune.accounts.email_confirmation.service import CODES_PER_USER, LIFETIME_SECONDS
from opportune.accounts.models import Session, User
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.accounts.authenticator_app import add_authenticator_app
from tests.opportune.accounts.email_sign_in.sign_in_emails import read_newest_code, wrong_code
from tests.opportune.accounts.sent_emails import EMAIL, settings

__all__ = ["settings"]  # a fixture

CONFIRMATION_PAGE = "/accounts/confirm/email"
CONFIRMATION_API = "/api/v1/users/me/confirmation/email"
RETURN_PATH = "/accounts/tokens"


@pytest.fixture
async def ada(database: Database) -> User:
    """A user who registered by a provider."""
    return await make_user(database, EMAIL, hashed_password="", is_verified=True)


async def backdate_sessions(database: Database) -> None:
    async with database.writer() as session:
        await session.execute(update(Session).values(created_at=utc_now() - timedelta(hours=1)))


async def is_confirmed(client: AsyncClient) -> bool:
    """Return whether the confirmation page redirects."""
    return (await client.get("/accounts/confirm", params={"next": RETURN_PATH})).status_code == 303


async def test_emailed_code_confirms_on_the_page(app: FastAPI, database: Database, ada: User) -> None:
    async with signed_in_client(app, ada) as client:
        await backdate_sessions(database)
        assert "E-mail me a code" in (await client.get("/accounts/confirm")).text
        redirect = await client.post(CONFIRMATION_PAGE, data={"next": RETURN_PATH})
        assert "Type the code" in (await client.get(redirect.headers["location"])).text
        code = await read_newest_code(app)
        assert (await client.post(f"{CONFIRMATION_PAGE}/code", data={"code": wrong_code(code)})).status_code == 422
        assert not await is_confirmed(client)
        response = await client.post(f"{CONFIRMATION_PAGE}/code", data={"code": code, "next": RETURN_PATH})
        assert (response.status_code, response.headers["location"]) == (303, RETURN_PATH)
        assert await is_confirmed(client)
        assert (await client.post(f"{CONFIRMATION_PAGE}/code", data={"code": code})).status_code == 422


async def test_emailed_code_confirms_in_the_api(app: FastAPI, database: Database, ada: User) -> None:
    async with signed_in_client(app, ada) as client:
        await backdate_sessions(database)
        assert (await client.post(CONFIRMATION_API)).status_code == 202
        code = await read_newest_code(app)
        assert (await client.post(f"{CONFIRMATION_API}/code", json={"code": wrong_code(code)})).status_code == 422
        assert (await client.post(f"{CONFIRMATION_API}/code", json={"code": code})).status_code == 204
        assert await is_confirmed(client)


async def test_code_is_valid_for_its_session_only(
    app: FastAPI, database: Database, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with signed_in_client(app, ada) as client, signed_in_client(app, ada) as other_browser:
        await backdate_sessions(database)
        await client.post(CONFIRMATION_PAGE)
        code = await read_newest_code(app)
        assert (await other_browser.post(f"{CONFIRMATION_PAGE}/code", data={"code": code})).status_code == 422
        expired_at = utc_now() + timedelta(seconds=2 * LIFETIME_SECONDS)
        monkeypatch.setattr("opportune.accounts.email_confirmation.service.utc_now", lambda: expired_at)
        assert (await client.post(f"{CONFIRMATION_PAGE}/code", data={"code": code})).status_code == 422
        monkeypatch.undo()
        assert (await client.post(f"{CONFIRMATION_PAGE}/code", data={"code": code})).status_code == 303


@pytest.mark.parametrize(("minutes", "status"), [(8, 303), (10, 422)])
async def test_code_lives_at_most_ten_minutes(
    app: FastAPI, database: Database, ada: User, monkeypatch: pytest.MonkeyPatch, minutes: int, status: int
) -> None:
    async with signed_in_client(app, ada) as client:
        await backdate_sessions(database)
        await client.post(CONFIRMATION_PAGE)
        checked_at = utc_now() + timedelta(minutes=minutes)
        monkeypatch.setattr("opportune.accounts.email_confirmation.service.utc_now", lambda: checked_at)
        assert (
            await client.post(f"{CONFIRMATION_PAGE}/code", data={"code": await read_newest_code(app)})
        ).status_code == status


async def test_wrong_code_is_in_the_security_log(
    app: FastAPI, database: Database, ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    async with signed_in_client(app, ada) as client:
        await backdate_sessions(database)
        await client.post(CONFIRMATION_PAGE)
        await client.post(f"{CONFIRMATION_PAGE}/code", data={"code": wrong_code(await read_newest_code(app))})
    (line,) = (record.getMessage() for record in caplog.records if record.name == "opportune.security")
    assert line.endswith(f"account={ada.id} reason=confirmation")


async def test_wrong_codes_are_limited_per_day(
    app: FastAPI, database: Database, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CODES_PER_USER.limit == 10
    monkeypatch.setattr(CODES_PER_USER, "limit", 2)
    async with signed_in_client(app, ada) as client:
        await backdate_sessions(database)
        await client.post(CONFIRMATION_PAGE)
        code = await read_newest_code(app)
        wrong_attempts = [
            await client.post(f"{CONFIRMATION_PAGE}/code", data={"code": wrong_code(code)}) for _ in range(2)
        ]
        refused = await client.post(f"{CONFIRMATION_PAGE}/code", data={"code": code})
        assert ({attempt.status_code for attempt in wrong_attempts}, refused.status_code) == ({422}, 429)
        assert int(refused.headers["retry-after"]) > 80_000
        assert not await is_confirmed(client)


async def test_second_factor_is_also_required(app: FastAPI, database: Database, ada: User) -> None:
    authenticator_app = await add_authenticator_app(database, app.state.settings, ada)
    async with signed_in_client(app, ada) as client:
        await backdate_sessions(database)
        await client.post(CONFIRMATION_PAGE)
        form = {"code": await read_newest_code(app)}
        assert (await client.post(f"{CONFIRMATION_PAGE}/code", data=form)).status_code == 422
        form["second_factor"] = authenticator_app.code
        assert (await client.post(f"{CONFIRMATION_PAGE}/code", data=form)).status_code == 303


async def test_email_confirmation_is_404_for_other_users(app: FastAPI, client: AsyncClient, database: Database) -> None:
    assert "/accounts/login" in (await client.post(CONFIRMATION_PAGE)).headers["location"]
    for fields in ({"is_verified": True}, {"hashed_password": ""}):
        async with signed_in_client(app, await make_user(database, **fields)) as other_browser:
            await backdate_sessions(database)
            assert "E-mail me a code" not in (await other_browser.get("/accounts/confirm")).text
            assert {
                (await other_browser.post(path)).status_code
                for path in (CONFIRMATION_PAGE, f"{CONFIRMATION_PAGE}/code", CONFIRMATION_API)
            } == {404}
