"""Visitors who sign in with a provider."""

import asyncio
import re
import warnings
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from opportune.accounts.flows import social_sign_in
from opportune.accounts.models import LinkedAccount
from opportune.db.database import Database
from opportune.testing.factories import make_user
from tests.opportune.accounts.authenticator_app import add_authenticator_app
from tests.opportune.accounts.conftest import is_signed_in, new_client
from tests.opportune.accounts.social_sign_in import conftest
from tests.opportune.accounts.social_sign_in.provider import FakeProvider
from tests.opportune.stored_rows import add_rows
from tests.opportune.waiting import wait_until

NOT_STARTED_HERE = "This sign-in was not started in this browser"
GITHUB_EMAILS = [
    {"email": "other@example.com", "primary": False, "verified": True},
    {"email": "octo@example.com", "primary": True, "verified": True},
]


async def add_linked_account(database: Database, user_id: int, provider: FakeProvider, subject: str = "1") -> None:
    await add_rows(database, LinkedAccount(user_id=user_id, issuer=provider.url, subject=subject, email="a@b.example"))


async def test_provider_registers_and_signs_in(client: AsyncClient, database: Database, provider: FakeProvider) -> None:
    response = await conftest.return_from_provider(client, provider, next="/accounts/tokens")
    assert response.headers["location"] == "/accounts/tokens"
    assert await conftest.read_user_states(database) == [("ada@example.com", True, False)]
    assert await conftest.read_links(database) == [(provider.url, "1")]
    await client.post("/accounts/logout")
    provider.user = {"sub": "1", "email": "changed@example.com", "email_verified": True}
    await conftest.return_from_provider(client, provider)
    assert await is_signed_in(client)
    assert await conftest.read_user_states(database) == [("ada@example.com", True, False)]


async def test_closed_registration_refuses_new_accounts_only(
    app: FastAPI, client: AsyncClient, database: Database, provider: FakeProvider
) -> None:
    user = await make_user(database)
    await add_linked_account(database, user.id, provider, "7")
    app.state.settings = app.state.settings.model_copy(update={"registration": "closed"})
    assert "This site accepts no new registrations." in await conftest.sign_in_to_message(client, provider)
    assert await conftest.read_user_states(database) == [(user.email, False, True)]
    provider.user = {"sub": "7", "email": "a@b.example", "email_verified": True}
    await conftest.return_from_provider(client, provider)
    assert await is_signed_in(client)


async def test_github_needs_a_verified_address(client: AsyncClient, database: Database, provider: FakeProvider) -> None:
    provider.emails = GITHUB_EMAILS
    address = await conftest.start_sign_in(client, "github")
    assert "nonce" not in parse_qs(urlsplit(address).query)
    await client.get(provider.approve(address))
    assert await conftest.read_user_states(database) == [("octo@example.com", True, False)]
    assert await conftest.read_links(database) == [("https://github.com", "583231")]


async def test_unverified_address_is_refused(client: AsyncClient, database: Database, provider: FakeProvider) -> None:
    provider.emails = [{**GITHUB_EMAILS[1], "verified": False}]
    assert "GitHub does not share your e-mail address" in await conftest.sign_in_to_message(client, provider, "github")
    for claim in (False, "false", None):
        provider.user = {"sub": "1", "email": "ada@example.com", "email_verified": claim}
        assert "Keycloak has not verified ada@example.com." in await conftest.sign_in_to_message(client, provider)
    assert await conftest.read_user_states(database) == []


async def test_address_may_come_from_userinfo(client: AsyncClient, database: Database, provider: FakeProvider) -> None:
    provider.false_claims = {"email": None}
    await conftest.return_from_provider(client, provider)
    assert await conftest.read_user_states(database) == [("ada@example.com", True, False)]
    provider.false_claims = {"email": None, "sub": "2"}
    assert "is invalid. Please try again." in await conftest.sign_in_to_message(client, provider)


async def test_existing_account_is_refused(client: AsyncClient, database: Database, provider: FakeProvider) -> None:
    await make_user(database, "ada@example.com")
    message = await conftest.sign_in_to_message(client, provider)
    assert "There is already an account with ada@example.com. Sign in to it, then add Keycloak" in message
    assert not await is_signed_in(client)
    assert await conftest.read_links(database) == []
    inactive = await make_user(database, is_active=False)
    await add_linked_account(database, inactive.id, provider)
    assert "This account is deactivated." in await conftest.sign_in_to_message(client, provider)
    assert not await is_signed_in(client)


async def test_refused_consent_keeps_the_requested_page(client: AsyncClient, provider: FakeProvider) -> None:
    provider.response = {"code": "", "error": "access_denied", "error_description": "Call 0900 now"}
    response = await conftest.return_from_provider(client, provider, next="/accounts/tokens")
    assert response.headers["location"] == "/accounts/login?next=%2Faccounts%2Ftokens"
    message = await conftest.follow_to_message(client, response)
    assert "You were not signed in at Keycloak." in message
    assert "0900" not in message


async def test_second_factor_is_still_required(app: FastAPI, client: AsyncClient, provider: FakeProvider) -> None:
    database = app.state.database
    user = await make_user(database)
    await add_authenticator_app(database, app.state.settings, user)
    await add_linked_account(database, user.id, provider)
    response = await conftest.return_from_provider(client, provider, next="/accounts/tokens", remember="true")
    assert response.headers["location"] == "/accounts/login/code"
    assert not await is_signed_in(client)


async def test_callback_is_valid_once(client: AsyncClient, database: Database, provider: FakeProvider) -> None:
    address = provider.approve(await conftest.start_sign_in(client))
    cookies = dict(client.cookies)
    await client.get(address)
    assert await is_signed_in(client)
    client.cookies.clear()
    provider.requests.clear()
    for name, value in cookies.items():  # also with a copied cookie
        client.cookies.set(name, value)
    assert NOT_STARTED_HERE in await conftest.follow_to_message(client, await client.get(address))
    assert not await is_signed_in(client)
    assert provider.requests == []


@pytest.mark.parametrize("mismatch", ["another browser", "another provider", "another sign-in", "invalid state"])
async def test_foreign_callback_is_refused_without_a_request(
    app: FastAPI, client: AsyncClient, provider: FakeProvider, mismatch: str
) -> None:
    provider.emails = GITHUB_EMAILS
    async with new_client(app) as other_client:
        browser = client if mismatch == "another provider" else other_client
        address = provider.approve(await conftest.start_sign_in(browser))
    if mismatch == "another provider":
        address = address.replace("/oidc/callback", "/github/callback")
    elif mismatch != "another browser":
        await conftest.start_sign_in(client)
    if mismatch == "invalid state":
        address = re.sub(r"state=[^&]+", "state=%ff%00%ed%a0%80", address)
    provider.requests.clear()
    assert NOT_STARTED_HERE in await conftest.follow_to_message(client, await client.get(address))
    assert not await is_signed_in(client)
    assert provider.requests == []


@pytest.mark.database("postgresql")
async def test_concurrent_sign_ins_create_a_user(app: FastAPI, client: AsyncClient, provider: FakeProvider) -> None:
    provider.delay = asyncio.Event()
    async with new_client(app) as other_client:
        addresses = {item: provider.approve(await conftest.start_sign_in(item)) for item in (client, other_client)}
        requests = [asyncio.create_task(item.get(address)) for item, address in addresses.items()]
        await wait_until(lambda: provider.requests.count("token") == 2)
        provider.delay.set()
        assert [response.headers["location"] for response in await asyncio.gather(*requests)] == ["/", "/"]
        assert await is_signed_in(client)
        assert await is_signed_in(other_client)
    assert await conftest.read_user_states(app.state.database) == [("ada@example.com", True, False)]
    assert await conftest.read_links(app.state.database) == [(provider.url, "1")]


async def test_buttons_are_forms_for_visitors(client: AsyncClient, provider: FakeProvider) -> None:
    for page in ("login", "register"):
        text = (await client.get(f"/accounts/{page}")).text
        assert 'formaction="/accounts/social/github"' in text
        assert "Continue with Keycloak" in text
    assert (await client.get("/accounts/social/oidc")).status_code == 405
    foreign = await client.post("/accounts/social/oidc", headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert (await client.post("/accounts/social/google")).status_code == 404  # not configured
    assert (await client.get("/accounts/social/google/callback")).status_code == 404
    assert (await conftest.return_from_provider(client, provider, next="//evil.example/")).headers["location"] == "/"


async def test_tries_are_limited(client: AsyncClient, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(social_sign_in.FAILURES_PER_IP, "limit", 2)
    monkeypatch.setattr(social_sign_in.STARTS_PER_IP, "limit", 3)
    await conftest.return_from_provider(client, provider)
    await conftest.return_from_provider(client, provider)
    for expected in (303, 303, 429):
        assert (await client.get("/accounts/social/oidc/callback?state=x&code=y")).status_code == expected
    assert conftest.refresh_url(await client.post("/accounts/social/oidc"))
    assert (await client.post("/accounts/social/oidc")).status_code == 429


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised by the provider's libraries


async def test_visitor_registers_by_a_provider(app: FastAPI, client: AsyncClient, database: Database) -> None:
    with warnings.catch_warnings(record=True):  # raised by its libraries
        from oidc_provider_mock import User, run_server_in_thread  # import takes half a second
    ada = User(sub="ada", claims={"email": "ada@example.com", "email_verified": True})
    with run_server_in_thread(user_claims=[ada]) as provider:
        changes = {"oidc_url": f"http://localhost:{provider.server_port}", "oidc_label": "Keycloak"}
        secret = {"oidc_client_id": "the-site", "oidc_client_secret": SecretStr("secret")}
        base_url = {"base_url": "http://testserver"}
        app.state.settings = app.state.settings.model_copy(update={**changes, **secret, **base_url})
        form = (await client.get("/accounts/login?next=/accounts/profile")).text
        assert 'formaction="/accounts/social/oidc"' in form
        address = await conftest.start_sign_in(client, next="/accounts/profile")
        async with AsyncClient() as other_browser:
            consent = await other_browser.post(address, data={"sub": "ada"})
        response = await client.get(consent.headers["location"])
    assert response.headers["location"] == "/accounts/profile"
    assert await conftest.read_user_states(database) == [("ada@example.com", True, False)]
    assert "ada@example.com" in (await client.get("/accounts/profile")).text
