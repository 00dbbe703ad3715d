"""A site with REGISTRATION=closed."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.passwords.hashing import hash_password
from opportune.accounts.registration.service import REGISTRATION_PURPOSE
from opportune.config.settings import Settings
from opportune.config.signing import seal
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD
from opportune.testing.plugin import settings_for
from tests.opportune.accounts.sent_emails import AUTH, EMAIL, read_sent_subjects, read_users, register, write_emails_to


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return write_emails_to(settings_for(database_url), tmp_path / "mail").model_copy(update={"registration": "closed"})


async def test_page_explains_that_registration_is_closed(client: AsyncClient) -> None:
    page = await client.get("/accounts/register")
    assert page.status_code == 403
    assert "Registration is closed" in page.text
    assert "<input" not in page.text


async def test_no_account_is_created(app: FastAPI, client: AsyncClient, database: Database) -> None:
    page = await register(client)
    assert (page.status_code, "Registration is closed" in page.text) == (403, True)
    response = await client.post(f"{AUTH}/register", json={"email": EMAIL, "password": PASSWORD})
    assert (response.status_code, "accepts no new registrations" in response.json()["detail"]) == (403, True)
    assert (await read_users(database), await read_sent_subjects(app)) == ([], [])


async def test_older_link_creates_no_account(app: FastAPI, client: AsyncClient, database: Database) -> None:
    token = seal(app.state.settings, REGISTRATION_PURPOSE, f'["{EMAIL}", "{await hash_password(PASSWORD)}"]')
    assert (await client.get("/accounts/verify", params={"token": token})).status_code == 410
    form = {"token": token, "password": PASSWORD}
    assert (await client.post("/accounts/verify", data=form)).status_code == 410
    assert await read_users(database) == []


@pytest.mark.parametrize("path", ["/", "/accounts/login", "/accounts/verify", "/accounts/register", "/nothing"])
async def test_pages_do_not_link_to_registration(client: AsyncClient, path: str) -> None:
    assert 'href="/accounts/register' not in (await client.get(path)).text
