"""Fixtures of a site with a fake provider, and helpers that sign in with it."""

import re
from collections.abc import AsyncIterator, Iterator
from html import unescape

import pytest
from httpx2 import AsyncClient, Response
from pydantic import SecretStr

from opportune.accounts.models import LinkedAccount, User
from opportune.accounts.sign_in_methods import provider_clients
from opportune.accounts.sign_in_methods.provider_clients import Endpoints
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.plugin import settings_for
from tests.opportune.accounts.social_sign_in.provider import CLIENT_ID, CLIENT_SECRET, FakeProvider, run_provider
from tests.opportune.stored_rows import read_all


@pytest.fixture(scope="package")
async def shared_provider() -> AsyncIterator[FakeProvider]:
    async with run_provider() as provider:
        yield provider


@pytest.fixture
def provider(shared_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvider]:
    url = shared_provider.url
    endpoints = Endpoints(f"{url}/authorize", f"{url}/token", "user:email")
    monkeypatch.setattr(provider_clients, "GITHUB_ENDPOINTS", endpoints)
    monkeypatch.setattr(provider_clients, "GITHUB_USER_URL", f"{url}/user")
    yield shared_provider
    provider_clients.get_client.cache_clear()  # it keeps documents of the provider
    vars(shared_provider).update(vars(FakeProvider(url=shared_provider.url)))


@pytest.fixture
def settings(database_url: str, provider: FakeProvider) -> Settings:
    secret = SecretStr(CLIENT_SECRET)
    oidc = {"oidc_client_id": CLIENT_ID, "oidc_client_secret": secret, "oidc_url": provider.url}
    github = {"github_client_id": CLIENT_ID, "github_client_secret": secret}
    # Without sign-in by e-mail, a linked account is the only method of users without a password.
    site = {"oidc_label": "Keycloak", "base_url": "http://testserver", "jobs": "off", "email_sign_in": False}
    return settings_for(database_url).model_copy(update={**oidc, **github, **site})


async def start_sign_in(client: AsyncClient, name: str = "oidc", **form: str) -> str:
    """Return the provider's URL to which the site redirects."""
    page = await client.post(f"/accounts/social/{name}", data=form)
    assert page.status_code == 200, page.headers
    return refresh_url(page)


def refresh_url(page: Response) -> str:
    match = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', page.text)
    assert match, page.text
    return unescape(match[1])


async def return_from_provider(
    client: AsyncClient, provider: FakeProvider, name: str = "oidc", **form: str
) -> Response:
    return await client.get(provider.approve(await start_sign_in(client, name, **form)))


async def sign_in_to_message(client: AsyncClient, provider: FakeProvider, name: str = "oidc") -> str:
    """Sign in at the provider, and return the text of the next page."""
    return await follow_to_message(client, await return_from_provider(client, provider, name))


async def follow_to_message(client: AsyncClient, response: Response) -> str:
    assert response.status_code == 303, response.text
    page = await client.get(response.headers["location"])
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


async def read_user_states(database: Database) -> list[tuple[str, bool, bool]]:
    """Return the e-mail, `is_verified` and `has_password` of each user."""
    return [(user.email, user.is_verified, user.has_password) for user in await read_all(database, User)]


async def read_links(database: Database) -> list[tuple[str, str]]:
    return [(row.issuer, row.subject) for row in await read_all(database, LinkedAccount)]
