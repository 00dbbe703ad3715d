import asyncio
import re
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from opportune.accounts.models import LinkedAccount
from opportune.accounts.sign_in_methods import totp
from opportune.accounts.social_sign_in import service
from opportune.db.database import Database
from opportune.testing.factories import make_user
from tests.opportune.accounts.social_sign_in.conftest import come_back, links, onward, people, set_out, told
from tests.opportune.accounts.social_sign_in.provider import FakeProvider

pytestmark = pytest.mark.database("sqlite")

NOT_OURS = "This sign-in did not begin in this browser"
GITHUB = [
    {"email": "other@example.com", "primary": False, "verified": True},
    {"email": "octo@example.com", "primary": True, "verified": True},
]


async def is_signed_in(client: AsyncClient) -> bool:
    return (await client.get("/accounts/sessions")).status_code == 200


async def link(database: Database, user_id: int, provider: FakeProvider, subject: str = "1") -> LinkedAccount:
    async with database.writer() as session:
        session.add(row := LinkedAccount(user_id=user_id, issuer=provider.url, subject=subject, email="a@b.example"))
    return row


async def test_whoever_is_new_gets_an_account_without_a_password_and_next_time_comes_into_it_again(
    client: AsyncClient, database: Database, provider: FakeProvider
) -> None:
    arrived = await come_back(client, provider, next="/accounts/tokens")
    assert arrived.headers["location"] == "/accounts/tokens"
    assert await people(database) == [("ada@example.com", True, False)]
    assert await links(database) == [(provider.url, "1")]
    await client.post("/accounts/logout")
    provider.person = {"sub": "1", "email": "changed@example.com", "email_verified": True}
    await come_back(client, provider)
    assert await is_signed_in(client)
    assert await people(database) == [("ada@example.com", True, False)]


async def test_closed_registration_refuses_new_accounts_only(
    app: FastAPI, client: AsyncClient, database: Database, provider: FakeProvider
) -> None:
    user = await make_user(database)
    await link(database, user.id, provider, "7")
    app.state.settings = app.state.settings.model_copy(update={"registration": "closed"})

    words = await told(client, await come_back(client, provider))
    assert "This site takes no new registrations." in words
    assert await people(database) == [(user.email, False, True)]

    provider.person = {"sub": "7", "email": "a@b.example", "email_verified": True}
    await come_back(client, provider)
    assert await is_signed_in(client)


async def test_github_vouches_for_the_primary_address_if_it_is_verified(
    client: AsyncClient, database: Database, provider: FakeProvider
) -> None:
    provider.emails = GITHUB
    address = await set_out(client, "github")
    assert "nonce" not in parse_qs(urlsplit(address).query)
    await client.get(provider.come(address))
    assert await people(database) == [("octo@example.com", True, False)]
    assert await links(database) == [("https://github.com", "583231")]


async def test_an_address_that_nobody_has_verified_makes_no_account_nor_does_a_no_at_the_provider(
    client: AsyncClient, database: Database, provider: FakeProvider
) -> None:
    provider.emails = [{**GITHUB[1], "verified": False}]
    assert "GitHub tells us no e-mail address" in await told(client, await come_back(client, provider, "github"))
    for said in (False, "false", None):
        provider.person = {"sub": "1", "email": "ada@example.com", "email_verified": said}
        words = await told(client, await come_back(client, provider))
        assert "Keycloak does not say that ada@example.com is yours." in words
    assert await people(database) == []

    provider.answer = {"code": "", "error": "access_denied", "error_description": "Call 0900 now"}
    words = await told(client, await come_back(client, provider))
    assert "You were not signed in at Keycloak." in words
    assert "0900" not in words


async def test_an_address_is_read_from_the_profile_where_the_token_has_none_and_not_from_somebody_elses(
    client: AsyncClient, database: Database, provider: FakeProvider
) -> None:
    provider.lie = {"email": None}
    await come_back(client, provider)
    assert await people(database) == [("ada@example.com", True, False)]
    provider.lie = {"email": None, "sub": "2"}
    assert "could not tell us who you are" in await told(client, await come_back(client, provider))


async def test_an_address_that_has_an_account_is_taken_and_one_that_is_closed_stays_so(
    client: AsyncClient, database: Database, provider: FakeProvider
) -> None:
    await make_user(database, "ada@example.com")
    words = await told(client, await come_back(client, provider))
    assert "There is an account with ada@example.com already. Sign in to it, then add Keycloak" in words
    assert not await is_signed_in(client)
    assert await links(database) == []

    closed = await make_user(database, is_active=False)
    await link(database, closed.id, provider)
    assert "This account is closed." in await told(client, await come_back(client, provider))
    assert not await is_signed_in(client)


async def test_a_second_factor_is_asked_after_the_provider_too(
    app: FastAPI, client: AsyncClient, database: Database, provider: FakeProvider
) -> None:
    user = await make_user(database)
    key = totp.start_setup(app.state.settings, user).key
    async with database.writer() as session:
        session.add(user)
        assert await totp.enable(session, app.state.settings, user, key, pyotp.TOTP(key).now())
    await link(database, user.id, provider)
    arrived = await come_back(client, provider, next="/accounts/tokens", remember="true")
    assert arrived.headers["location"] == "/accounts/login/code"
    assert not await is_signed_in(client)


async def test_a_callback_counts_once(client: AsyncClient, database: Database, provider: FakeProvider) -> None:
    address = provider.come(await set_out(client))
    kept = dict(client.cookies)
    await client.get(address)
    assert await is_signed_in(client)
    client.cookies.clear()
    provider.asked.clear()
    for name, value in kept.items():  # even in the hands of whoever has kept the cookie
        client.cookies.set(name, value)
    assert NOT_OURS in await told(client, await client.get(address))
    assert not await is_signed_in(client)
    assert provider.asked == []


async def test_a_foreign_callback_is_refused_before_the_provider_is_asked(app: FastAPI, provider: FakeProvider) -> None:
    provider.emails = GITHUB

    def browser() -> AsyncClient:
        return AsyncClient(transport=ASGITransport(app), base_url="http://testserver")

    for whose in ("another browser", "another provider", "another sign-in", "nobody", "garbage"):
        async with browser() as client, browser() as other:
            address = provider.come(await set_out(client if whose == "another provider" else other))
            if whose in ("another sign-in", "garbage"):
                await set_out(client)
            if whose == "another provider":
                address = address.replace("/oidc/callback", "/github/callback")
            if whose == "nobody":
                client.cookies.clear()
            if whose == "garbage":
                address = re.sub(r"state=[^&]+", "state=%ff%00%ed%a0%80", address)
            provider.asked.clear()
            assert NOT_OURS in await told(client, await client.get(address)), whose
            assert not await is_signed_in(client), whose
        assert provider.asked == [], whose


@pytest.mark.database("postgresql")
async def test_two_first_sign_ins_at_once_make_one_account(
    app: FastAPI, client: AsyncClient, database: Database, provider: FakeProvider
) -> None:
    provider.waits = asyncio.Event()
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as other:
        addresses = [provider.come(await set_out(each)) for each in (client, other)]
        both = [asyncio.create_task(each.get(to)) for each, to in zip((client, other), addresses, strict=True)]
        async with asyncio.timeout(10):
            while provider.asked.count("token") < 2:
                await asyncio.sleep(0.01)
        provider.waits.set()
        assert [answer.headers["location"] for answer in await asyncio.gather(*both)] == ["/", "/"]
        assert await is_signed_in(client)
        assert await is_signed_in(other)
    assert await people(database) == [("ada@example.com", True, False)]
    assert await links(database) == [(provider.url, "1")]


async def test_the_buttons_stand_on_the_pages_of_strangers_only_a_form_begins_it_and_leads_nowhere_else(
    client: AsyncClient, provider: FakeProvider
) -> None:
    for page in ("login", "register"):
        text = (await client.get(f"/accounts/{page}")).text
        assert 'formaction="/accounts/social/github"' in text
        assert "Continue with Keycloak" in text

    assert (await client.get("/accounts/social/oidc")).status_code == 405
    foreign = await client.post("/accounts/social/oidc", headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert (await client.post("/accounts/social/google")).status_code == 404  # not configured
    assert (await client.get("/accounts/social/google/callback")).status_code == 404

    arrived = await come_back(client, provider, next="//evil.example/")
    assert arrived.headers["location"] == "/"


async def test_failures_are_counted_by_address_and_successes_are_not(
    client: AsyncClient, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.FAILURES_PER_ADDRESS, "limit", 2)
    monkeypatch.setattr(service.STARTS_PER_ADDRESS, "limit", 3)
    await come_back(client, provider)
    await come_back(client, provider)
    for expected in (303, 303, 429):
        assert (await client.get("/accounts/social/oidc/callback?state=x&code=y")).status_code == expected
    assert onward(await client.post("/accounts/social/oidc"))
    assert (await client.post("/accounts/social/oidc")).status_code == 429
