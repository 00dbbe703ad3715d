import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from pydantic import SecretStr
from sqlalchemy import delete, select, text, update
from sqlmodel import col

from opportune.accounts.emails import signed_links
from opportune.accounts.models import LinkedAccount, Session, User
from opportune.accounts.users.manager import UserDatabase
from opportune.config.settings import load_settings
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.errors import SettingsError
from opportune.testing.factories import PASSWORD, make_user, sign_in, signed_in_client
from opportune.testing.recorded_jobs import RecordedJobs
from tests.opportune.accounts.recorded_emails import told as mailed
from tests.opportune.accounts.social_sign_in.conftest import come_back, links, onward, people, told
from tests.opportune.accounts.social_sign_in.provider import FakeProvider

pytestmark = pytest.mark.database("sqlite")

NEW = "another good password"


@pytest.fixture
async def user(database: Database) -> User:
    return await make_user(database, "bob@example.com")


@pytest.fixture
async def bob(app: FastAPI, user: User) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app, user) as client:
        yield client


async def ask_to_link(client: AsyncClient, password: str = PASSWORD, provider: str = "oidc") -> Response:
    wanted = {"provider": provider, "current_password": password}
    return await client.post("/accounts/profile/linked-accounts", data=wanted)


async def add(client: AsyncClient, provider: FakeProvider) -> Response:
    return await client.get(provider.come(onward(await ask_to_link(client))))


async def linked_ids(client: AsyncClient) -> list[int]:
    return [row["id"] for row in (await client.get("/api/v1/users/me/linked-accounts")).json()]


async def remove(client: AsyncClient, row_id: int) -> Response:
    return await client.post(f"/accounts/profile/linked-accounts/{row_id}/unlink")


async def test_whoever_is_signed_in_adds_an_account_with_any_address_and_removes_it_again(
    bob: AsyncClient, database: Database, provider: FakeProvider, recorded: RecordedJobs
) -> None:
    assert "Keycloak signs you in here" in await told(bob, await add(bob, provider))
    assert await links(database) == [(provider.url, "1")]
    assert await people(database) == [("bob@example.com", False, True)]
    page = (await bob.get("/accounts/profile")).text
    assert "Remove Keycloak ada@example.com" in page
    assert "ada@example.com" in (await bob.get("/accounts/data/export")).text
    (number,) = await linked_ids(bob)
    assert "no longer linked" in await told(bob, await remove(bob, number))
    assert (await remove(bob, number)).status_code == 404
    assert await links(database) == []
    assert mailed(recorded) == [
        ("bob@example.com", "Keycloak signs you in now"),
        ("bob@example.com", "Keycloak signs you in no more"),
    ]


async def test_the_password_is_asked_before_one_is_added_and_another_in_the_same_browser_does_not_end_it(
    bob: AsyncClient, client: AsyncClient, app: FastAPI, database: Database, provider: FakeProvider
) -> None:
    refused = await ask_to_link(bob, "wrong password")
    assert refused.status_code == 422
    assert "This is not your current password." in refused.text
    assert (await ask_to_link(bob, provider="google")).status_code == 404
    assert (await ask_to_link(client)).headers["location"].startswith("/accounts/login")

    address = provider.come(onward(await ask_to_link(bob)))
    await sign_in(bob, app, await make_user(database, "eve@example.com"))
    assert "did not begin in this browser" in await told(bob, await bob.get(address))
    assert await links(database) == []


async def test_an_account_signs_in_one_person_alone(
    app: FastAPI, bob: AsyncClient, database: Database, provider: FakeProvider
) -> None:
    await add(bob, provider)
    assert "signs you in to this one already" in await told(bob, await add(bob, provider))
    async with signed_in_client(app) as other:
        assert "signs you in to another one here already" in await told(other, await add(other, provider))
    assert len(await links(database)) == 1


async def test_the_last_way_in_stays_until_there_is_a_password_and_the_one_that_there_is_not_signs_nobody_in(
    client: AsyncClient, provider: FakeProvider, database: Database
) -> None:
    await come_back(client, provider)
    await client.post("/accounts/logout")
    for password in ("x", "!"):
        refused = await client.post("/accounts/login", data={"email": "ada@example.com", "password": password})
        assert refused.status_code == 422

    await come_back(client, provider)
    (number,) = await linked_ids(client)
    assert "This is your only way in." in await told(client, await remove(client, number))
    assert (await client.delete(f"/api/v1/users/me/linked-accounts/{number}")).status_code == 409
    assert len(await links(database)) == 1
    chosen = await client.post("/accounts/password", data={"new_password": NEW})
    assert chosen.status_code == 303
    await remove(client, number)
    assert await links(database) == []
    await client.post("/accounts/logout")
    back = await client.post("/accounts/login", data={"email": "ada@example.com", "password": NEW})
    assert back.status_code == 303


async def test_an_email_that_signs_in_is_a_way_in_that_stays(
    app: FastAPI, client: AsyncClient, database: Database, provider: FakeProvider
) -> None:
    app.state.settings = app.state.settings.model_copy(update={"email_sign_in": True})
    await come_back(client, provider)
    (number,) = await linked_ids(client)
    assert "A link that we e-mail you, or one of these accounts." in (await client.get("/accounts/profile")).text
    await remove(client, number)
    assert await links(database) == []


@pytest.mark.database("postgresql")  # SQLite has one that writes at a time
async def test_of_two_last_ways_in_that_are_removed_at_once_one_stays(
    client: AsyncClient, database: Database, provider: FakeProvider
) -> None:
    await come_back(client, provider)
    user = (await client.get("/api/v1/users/me")).json()["id"]
    async with database.writer() as session:
        session.add(LinkedAccount(user_id=user, issuer=provider.url, subject="2"))
    first, second = await linked_ids(client)
    async with database.writer() as window:
        await window.execute(select(User).where(col(User.id) == user).with_for_update())
        await window.execute(delete(LinkedAccount).where(col(LinkedAccount.id) == second))
        other = asyncio.create_task(remove(client, first))
        async with asyncio.timeout(10):
            while not other.done() and not await somebody_waits(database):
                await asyncio.sleep(0.01)
    await other
    assert await linked_ids(client) == [first]


async def somebody_waits(database: Database) -> bool:
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    async with database.reader(fresh=True) as session:
        return bool(await session.scalar(text(waiting)))


async def test_an_account_that_two_people_add_at_once_is_of_the_first(
    app: FastAPI, bob: AsyncClient, database: Database, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(bob, provider)
    monkeypatch.setattr(UserDatabase, "get_by_oauth_account", nobody_yet)
    async with signed_in_client(app) as other:
        assert "Please try again." in await told(other, await add(other, provider))
    assert await links(database) == [(provider.url, "1")]


async def nobody_yet(_database: UserDatabase, _issuer: str, _subject: str) -> None:
    """As it looks to who asks a moment too early."""


async def test_a_way_in_whose_provider_is_gone_is_none(
    app: FastAPI, client: AsyncClient, database: Database, provider: FakeProvider
) -> None:
    await come_back(client, provider)
    user = (await client.get("/api/v1/users/me")).json()["id"]
    async with database.writer() as session:
        session.add(LinkedAccount(user_id=user, issuer="https://gone.example", subject="1"))
    first, second = await linked_ids(client)
    assert "This is your only way in." in await told(client, await remove(client, first))
    assert "gone.example" in (await client.get("/accounts/profile")).text
    assert (await remove(client, second)).status_code == 303
    assert await links(database) == [(provider.url, "1")]


async def test_without_a_password_a_fresh_sign_in_stands_in_for_it(
    client: AsyncClient, database: Database, provider: FakeProvider
) -> None:
    await come_back(client, provider)
    page = await client.get("/accounts/password")
    assert "Choose a password" in page.text
    assert "current_password" not in page.text
    asked = await client.post(
        "/accounts/tokens", data={"name": "Script", "days": "30", "scopes": "read", "current_password": "x"}
    )
    assert "You have no password yet." in asked.text
    assert onward(await ask_to_link(client, ""))
    async with database.writer() as session:
        await session.execute(update(Session).values(created_at=utc_now() - timedelta(minutes=11)))
    for answer in (
        await client.post("/accounts/password", data={"new_password": NEW}),
        await ask_to_link(client, ""),
    ):
        assert answer.status_code == 422
        assert "Sign out and in again" in answer.text
    assert await people(database) == [("ada@example.com", True, False)]


async def test_a_new_password_by_mail_ends_what_a_stranger_has_linked_to_an_address_that_was_not_theirs(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    for is_verified, left in [(False, 0), (True, 1)]:
        user = await make_user(database, is_verified=is_verified)
        async with database.writer() as session:
            session.add(LinkedAccount(user_id=user.id, issuer="https://id.example", subject="1"))
        token = signed_links.make_link_token(app.state.settings, "reset", user)
        await client.post("/accounts/reset-password", data={"token": token, "password": NEW})
        assert len(await links(database)) == left


async def test_superusers_see_what_is_linked_and_change_nothing_and_it_goes_with_the_account(
    app: FastAPI, bob: AsyncClient, database: Database, provider: FakeProvider
) -> None:
    await add(bob, provider)
    async with signed_in_client(app, await make_user(database, is_superuser=True, is_staff=True)) as admin:
        assert provider.url in (await admin.get("/admin/linked-account/list")).text
        for action in ("create", "edit/1", "delete"):
            assert (await admin.get(f"/admin/linked-account/{action}")).status_code == 403, action
    async with signed_in_client(app) as other:
        assert (await other.get("/admin/linked-account/list")).status_code == 403

    await bob.post("/accounts/data/delete", data={"email": "bob@example.com", "current_password": PASSWORD})
    assert "bob@example.com" not in {email for email, *_ in await people(database)}
    assert await links(database) == []


async def test_without_providers_there_is_nothing_of_it(app: FastAPI, client: AsyncClient, bob: AsyncClient) -> None:
    none = {"oidc_client_id": "", "github_client_id": ""}
    app.state.settings = app.state.settings.model_copy(update=none)
    assert "Continue with" not in (await client.get("/accounts/login")).text
    assert "Ways to sign in" not in (await bob.get("/accounts/profile")).text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"github_client_id": "x"}, "GITHUB_CLIENT_SECRET is missing"),
        ({"google_client_secret": SecretStr("x")}, "GOOGLE_CLIENT_ID is missing"),
        ({"oidc_client_id": "x", "oidc_client_secret": SecretStr("x")}, "OIDC_URL is missing"),
        ({"oidc_url": "http://id.example.org"}, "OIDC_URL: must be an address such as https://"),
    ],
    ids=str,
)
def test_half_a_provider_is_said_at_the_start(given: dict[str, str | SecretStr], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_settings(environment="test", **given)
