"""A site with a provider that runs on this machine, and the way there and back."""

import re
from collections.abc import AsyncIterator, Iterator
from html import unescape

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from httpx_oauth.clients import github
from pydantic import SecretStr
from sqlalchemy import select

from opportune.accounts.models import LinkedAccount, User
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.plugin import settings_for
from opportune.testing.recorded_jobs import RecordedJobs
from tests.opportune.accounts.social_sign_in.provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    FakeProvider,
    running_provider,
)


@pytest.fixture(scope="package")
async def one_provider() -> AsyncIterator[FakeProvider]:
    async with running_provider() as provider:
        yield provider


@pytest.fixture
def provider(one_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvider]:
    for name in ("AUTHORIZE", "ACCESS_TOKEN", "PROFILE", "EMAILS"):
        path = {"AUTHORIZE": "authorize", "ACCESS_TOKEN": "token", "PROFILE": "user", "EMAILS": "user/emails"}[name]
        monkeypatch.setattr(github, f"{name}_ENDPOINT", f"{one_provider.url}/{path}")
    yield one_provider
    vars(one_provider).update(vars(FakeProvider(url=one_provider.url)))


@pytest.fixture
def settings(database_url: str, provider: FakeProvider) -> Settings:
    secret = SecretStr(CLIENT_SECRET)
    ours = {
        "oidc_url": provider.url,
        "oidc_label": "Keycloak",
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": secret,
    }
    github = {"github_client_id": CLIENT_ID, "github_client_secret": secret}
    # Without e-mails that sign in, what is linked is the only way in of who has no password.
    more = {"base_url": "http://testserver", "jobs": "off", "email_sign_in": False}
    return settings_for(database_url).model_copy(update={**ours, **github, **more})


@pytest.fixture
def recorded(app: FastAPI) -> RecordedJobs:
    return RecordedJobs(app.state.settings, app.state.database, app.state.storage)


async def set_out(client: AsyncClient, name: str = "oidc", **form: str) -> str:
    """The address of the provider that the site sends a browser on to."""
    page = await client.post(f"/accounts/social/{name}", data=form)
    assert page.status_code == 200, page.headers
    return onward(page)


def onward(page: Response) -> str:
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', page.text)
    assert found, page.text
    return unescape(found[1])


async def come_back(client: AsyncClient, provider: FakeProvider, name: str = "oidc", **form: str) -> Response:
    return await client.get(provider.come(await set_out(client, name, **form)))


async def told(client: AsyncClient, response: Response) -> str:
    """The text of the page that somebody is led to."""
    assert response.status_code == 303, response.text
    page = await client.get(response.headers["location"])
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


async def people(database: Database) -> list[tuple[str, bool, bool]]:
    """Who has an account: address, whether it is proved, and whether they have a password."""
    async with database.reader(fresh=True) as session:
        return [(user.email, user.is_verified, user.has_password) for user in await session.scalars(select(User))]


async def links(database: Database) -> list[tuple[str, str]]:
    async with database.reader(fresh=True) as session:
        return [(row.issuer, row.subject) for row in await session.scalars(select(LinkedAccount))]
