"""Creation of the first superuser by a link from the log."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from opportune.accounts import setup
from opportune.accounts.models import Session, User
from opportune.application import create_app
from opportune.config import Settings, signing
from opportune.db.database import Database
from opportune.jobs.models import Job
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from opportune.testing.plugin import settings_for
from tests.opportune.stored_rows import count, read_all
from tests.opportune.waiting import wait_until

SETUP_PAGE = "/accounts/setup"
EMAIL = "ada@example.com"
LINK_MESSAGE = "To become the first one, open this link within 24 hours: "


def find_links(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records if LINK_MESSAGE in record.getMessage()]
    return [line.rpartition(" ")[2] for line in lines]


def extract_token(link: str) -> str:
    return parse_qs(urlsplit(link).query)["token"][0]


@pytest.fixture
async def token(app: FastAPI, caplog: pytest.LogCaptureFixture) -> str:
    """Token of the logged link."""
    await setup.send_invitation(app)
    return extract_token(find_links(caplog)[-1])


async def read_superusers(database: Database) -> list[User]:
    return await read_all(database, User, is_superuser=True)


async def start(settings: Settings) -> None:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        await setup._invite_if_needed(app)


async def read_emails(database: Database) -> list[dict[str, str]]:
    return [job.arguments[0] for job in await read_all(database, Job, name="mail.send")]


async def test_link_creates_a_superuser_and_signs_in(client: AsyncClient, database: Database, token: str) -> None:
    await make_user(database, "stranger@example.com")
    page = await client.get(SETUP_PAGE, params={"token": token})
    assert page.headers["cache-control"] == "no-store, no-transform"
    assert page.status_code == 200
    assert "autofocus" in page.text
    assert await read_superusers(database) == []
    form = {"email": "Ada@Example.com", "password": PASSWORD, "token": token}
    response = await client.post(SETUP_PAGE, data=form)
    assert (response.status_code, response.headers["location"]) == (303, "/admin")
    [user] = await read_superusers(database)
    assert (user.email, user.is_staff, user.is_active, user.is_verified) == (EMAIL, True, True, True)
    assert EMAIL in (await client.get("/accounts/profile")).text
    # Page and link are no longer valid.
    assert (await client.post(SETUP_PAGE, data={**form, "email": "eve@example.com"})).status_code == 404
    assert (await client.get(SETUP_PAGE, params={"token": token})).status_code == 404
    assert (await client.get(SETUP_PAGE)).status_code == 404


async def test_account_becomes_superuser(app: FastAPI, client: AsyncClient, database: Database, token: str) -> None:
    visitor = await make_user(database, EMAIL, "what a stranger chose", totp_secret="sealed")
    async with signed_in_client(app, visitor) as other_browser:
        await client.post(SETUP_PAGE, data={"email": EMAIL, "password": PASSWORD, "token": token})
        assert (await other_browser.get("/accounts/profile")).status_code == 303
        assert EMAIL in (await client.get("/accounts/profile")).text
    [user] = await read_superusers(database)
    assert (user.id, user.is_active, user.has_two_factor) == (visitor.id, True, False)
    assert user.hashed_password != visitor.hashed_password
    assert await count(database, Session) == 1


@pytest.mark.database("postgresql")
async def test_concurrent_setups_create_one_superuser(client: AsyncClient, database: Database, token: str) -> None:
    forms = [{"email": f"user{n}@example.com", "password": PASSWORD, "token": token} for n in range(4)]
    responses = await asyncio.gather(*(client.post(SETUP_PAGE, data=form) for form in forms))
    assert sorted(response.status_code for response in responses) == [303, 404, 404, 404]
    assert len(await read_superusers(database)) == 1


async def test_invalid_setup_is_refused(client: AsyncClient, database: Database, token: str) -> None:
    for email, message in (("ada@", "Please enter an e-mail address"), (EMAIL, "Please use at least 8 characters.")):
        response = await client.post(SETUP_PAGE, data={"email": email, "password": "short", "token": token})
        assert (response.status_code, message in response.text, token in response.text) == (422, True, True)
    assert await read_superusers(database) == []


async def test_invalid_link_is_refused(client: AsyncClient, database: Database, token: str, settings: Settings) -> None:
    foreign = settings.model_copy(update={"secret_key": SecretStr("the key of some other site, not of ours")})
    other_purpose = signing.signer(settings, "reset-password").dumps("x")
    foreign_token = extract_token(setup.make_setup_link(foreign))
    for invalid_token in ("", "forged", token[:-1], other_purpose, foreign_token):
        form = {"email": EMAIL, "password": PASSWORD, "token": invalid_token}
        for method in ("GET", "POST"):
            response = await client.request(method, SETUP_PAGE, params={"token": invalid_token}, data=form)
            assert response.status_code == 403, (method, invalid_token)
    assert await read_superusers(database) == []


async def test_setup_link_lasts_a_day(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    token = extract_token(setup.make_setup_link(settings))
    for hours, is_valid in ((23.9, True), (24.1, False)):
        checked_at = int((datetime.now(UTC) + timedelta(hours=hours)).timestamp())
        monkeypatch.setattr("time.time", lambda checked_at=checked_at: checked_at)
        assert setup.is_valid_token(settings, token) is is_valid


async def test_visit_without_a_link_logs_one_per_minute(client: AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    responses = [await client.get(SETUP_PAGE) for _ in range(3)]
    assert all("the site's log" in unescape(response.text) for response in responses)
    assert len(find_links(caplog)) == 1
    assert not any(find_links(caplog)[0] in response.text for response in responses)


async def test_setup_is_404_with_superuser(client: AsyncClient, app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    # An inactive superuser counts: its deactivation must not open the setup.
    await make_user(app.state.database, is_superuser=True, is_active=False)
    await setup._invite_if_needed(app)
    assert (await client.get(SETUP_PAGE)).status_code == 404
    assert (await client.post(SETUP_PAGE, data={})).status_code == 404
    assert find_links(caplog) == []


async def test_invitation_is_hourly(settings: Settings, database: Database, caplog: pytest.LogCaptureFixture) -> None:
    site = {"jobs": "off", "base_url": "https://example.org"}
    settings_with_email = settings.model_copy(update={"admin_email": EMAIL, **site})
    for _ in range(3):  # restarts
        await start(settings_with_email)
    [email] = await read_emails(database)
    assert email["to"] == EMAIL
    assert find_links(caplog)[0] in email["text"]
    assert find_links(caplog)[0].startswith("https://example.org/accounts/setup?token=")
    assert len(find_links(caplog)) == 3


async def test_only_one_worker_of_a_server_logs_a_link(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPPORTUNE_WORKERS", "group:2")
    for _ in range(2):
        await start(settings.model_copy(update={"jobs": "off"}))
    assert len(find_links(caplog)) == 1


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize("has_server", [True, False])
async def test_start_without_tables_or_server_logs_one_line(
    empty_database_url: str, caplog: pytest.LogCaptureFixture, *, has_server: bool
) -> None:
    caplog.set_level(logging.INFO)
    url = empty_database_url if has_server else "postgresql://ada:s3cret@127.0.0.1:1/none"
    await start(settings_for(url).model_copy(update={"jobs": "off"}))
    assert "The search for a superuser failed" in caplog.text
    assert not any(text in caplog.text for text in ("Traceback", "s3cret"))
    assert find_links(caplog) == []


async def test_start_logs_the_setup_link(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(settings.model_copy(update={"environment": "development", "jobs": "off"}))
    async with app.router.lifespan_context(app):
        await wait_until(lambda: find_links(caplog))
    assert len(find_links(caplog)) == 1
