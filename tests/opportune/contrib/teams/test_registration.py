"""A site with REGISTRATION=invited, and invitations to teams."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from pydantic import SecretStr

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD
from opportune.testing.plugin import settings_for
from tests.opportune.accounts.sent_emails import ACCOUNTS, AUTH, newest_link, register, sent_subjects, users, with_mail
from tests.opportune.contrib.teams.conftest import Crew
from tests.opportune.contrib.teams.test_invitations import ADDRESS, Clients, invite

pytestmark = pytest.mark.database("sqlite")

STRANGER = "eve@example.com"


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return with_mail(settings_for(database_url), tmp_path / "mail").model_copy(update={"registration": "invited"})


async def test_invited_address_registers(
    app: FastAPI, client: AsyncClient, clients: Clients, crew: Crew, database: Database
) -> None:
    page = await client.get(await invite(app, clients["owner"], crew))
    assert 'href="/accounts/register?next=' in page.text

    await register(client, ADDRESS)
    path, token = await newest_link(app)
    await client.post(path, data={"token": token, "password": PASSWORD})

    assert (ADDRESS, True) in await users(database)


async def test_address_without_invitation_gets_no_email(app: FastAPI, client: AsyncClient) -> None:
    answer = await register(client, STRANGER)
    assert (answer.status_code, "Check your mail" in answer.text) == (200, True)
    assert await sent_subjects(app) == []


async def test_withdrawn_invitation_ends_the_registration(
    app: FastAPI, client: AsyncClient, clients: Clients, crew: Crew, database: Database
) -> None:
    await invite(app, clients["owner"], crew)
    await register(client, ADDRESS)
    path, token = await newest_link(app)
    invitations = f"/api/v1/teams/{crew.team.id}/invitations"
    (invitation,) = (await clients["owner"].get(invitations)).json()
    await clients["owner"].delete(f"{invitations}/{invitation['id']}")

    assert (await client.post(path, data={"token": token, "password": PASSWORD})).status_code == 410
    assert ADDRESS not in str(await users(database))


async def test_page_says_that_an_invitation_is_needed(client: AsyncClient) -> None:
    assert "You need an invitation." in (await client.get(f"{ACCOUNTS}/register")).text
    assert 'href="/accounts/register' not in (await client.get(f"{ACCOUNTS}/login")).text


async def test_site_without_mail_refuses_address_without_invitation(
    app: FastAPI, client: AsyncClient, clients: Clients, crew: Crew, database: Database
) -> None:
    await invite(app, clients["owner"], crew)
    silent = app.state.settings.model_copy(update={"mail_url": SecretStr("console:")})
    app.state.settings = database.info["settings"] = silent

    page = await register(client, STRANGER)
    assert (page.status_code, "You need an invitation to register." in page.text) == (403, True)
    answer = await client.post(f"{AUTH}/register", json={"email": STRANGER, "password": PASSWORD})
    assert (answer.status_code, "invitation" in answer.json()["detail"]) == (403, True)
    assert (await register(client, ADDRESS)).status_code == 303
