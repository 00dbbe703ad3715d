"""Invitations to teams on a site with REGISTRATION=invited."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD
from opportune.testing.plugin import settings_for
from tests.opportune.accounts import sent_emails
from tests.opportune.contrib.teams.conftest import Clients, Crew
from tests.opportune.contrib.teams.test_invitations import ADDRESS, invite

STRANGER = "eve@example.com"


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    settings = sent_emails.write_emails_to(settings_for(database_url), tmp_path / "mail")
    return settings.model_copy(update={"registration": "invited"})


async def test_invitee_joins(
    app: FastAPI, client: AsyncClient, clients: Clients, crew: Crew, database: Database
) -> None:
    assert 'href="/accounts/register?next=' in (await client.get(await invite(app, clients["owner"], crew))).text
    await sent_emails.register(client, ADDRESS)
    path, token = await sent_emails.read_newest_link(app)
    await client.post(path, data={"token": token, "password": PASSWORD})
    assert (ADDRESS, True) in await sent_emails.read_users(database)


async def test_address_without_invitation_gets_no_email(app: FastAPI, client: AsyncClient) -> None:
    response = await sent_emails.register(client, STRANGER)
    assert (response.status_code, "Check your mail" in response.text) == (200, True)
    assert await sent_emails.read_sent_subjects(app) == []


async def test_withdrawn_invitation_cancels_the_registration(
    app: FastAPI, client: AsyncClient, clients: Clients, crew: Crew, database: Database
) -> None:
    await invite(app, clients["owner"], crew)
    await sent_emails.register(client, ADDRESS)
    path, token = await sent_emails.read_newest_link(app)
    invitations = f"/api/v1/teams/{crew.team.id}/invitations"
    (invitation,) = (await clients["owner"].get(invitations)).json()
    await clients["owner"].delete(f"{invitations}/{invitation['id']}")
    assert (await client.post(path, data={"token": token, "password": PASSWORD})).status_code == 410
    assert ADDRESS not in str(await sent_emails.read_users(database))


async def test_site_without_mail_refuses_address_without_invitation(
    app: FastAPI, client: AsyncClient, clients: Clients, crew: Crew, database: Database
) -> None:
    await invite(app, clients["owner"], crew)
    without_mail = app.state.settings.model_copy(update={"mail_url": SecretStr("console:")})
    app.state.settings = database.info["settings"] = without_mail
    page = await sent_emails.register(client, STRANGER)
    assert (page.status_code, "You need an invitation to register." in page.text) == (403, True)
    response = await client.post("/api/v1/auth/register", json={"email": STRANGER, "password": PASSWORD})
    assert (response.status_code, "invitation" in response.json()["detail"]) == (403, True)
    assert (await sent_emails.register(client, ADDRESS)).status_code == 303
