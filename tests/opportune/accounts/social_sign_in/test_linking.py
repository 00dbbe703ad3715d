"""Linking and unlinking of a user's accounts at providers."""

import asyncio

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import delete, select
from sqlmodel import col

from opportune.accounts.models import LinkedAccount, User
from opportune.accounts.users.database import UserDatabase
from opportune.db import Database
from opportune.testing import PASSWORD, RecordedJobs, make_user, sign_in, signed_in_client
from tests.opportune.accounts.sent_emails import list_sent_subjects
from tests.opportune.accounts.social_sign_in import conftest
from tests.opportune.accounts.social_sign_in.conftest import follow_to_message, read_links
from tests.opportune.accounts.social_sign_in.provider import FakeProvider
from tests.opportune.stored_rows import add_rows, has_waiting_lock

NEW_PASSWORD = "another good password"


@pytest.fixture
async def user(database: Database) -> User:
    return await make_user(database, "bob@example.com")


async def request_link(client: AsyncClient, password: str = PASSWORD, provider: str = "oidc") -> Response:
    form = {"provider": provider, "current_password": password}
    return await client.post("/accounts/profile/linked-accounts", data=form)


async def link_account(client: AsyncClient, provider: FakeProvider) -> Response:
    return await client.get(provider.approve(conftest.refresh_url(await request_link(client))))


async def list_linked_ids(client: AsyncClient) -> list[int]:
    return [row["id"] for row in (await client.get("/api/v1/users/me/linked-accounts")).json()]


async def unlink_account(client: AsyncClient, row_id: int) -> Response:
    return await client.post(f"/accounts/profile/linked-accounts/{row_id}/unlink")


async def unlink_by_api(client: AsyncClient, row_id: int, password: str = "") -> Response:
    url = f"/api/v1/users/me/linked-accounts/{row_id}"
    return await client.request("DELETE", url, json={"current_password": password})


async def link_to_message(client: AsyncClient, provider: FakeProvider) -> str:
    return await follow_to_message(client, await link_account(client, provider))


async def test_linked_account_is_added_and_removed(
    user_client: AsyncClient, database: Database, provider: FakeProvider, recorded_jobs: RecordedJobs
) -> None:
    assert "You can now sign in with your account at Keycloak" in await link_to_message(user_client, provider)
    assert await read_links(database) == [(provider.url, "1")]
    assert await conftest.read_user_states(database) == [("bob@example.com", False, True)]
    assert "Remove Keycloak ada@example.com" in (await user_client.get("/accounts/profile")).text
    assert "ada@example.com" in (await user_client.get("/accounts/data/export")).text
    (number,) = await list_linked_ids(user_client)
    assert "no longer linked" in await follow_to_message(user_client, await unlink_account(user_client, number))
    assert (await unlink_account(user_client, number)).status_code == 404
    assert await read_links(database) == []
    subjects = ("Keycloak signs you in now", "Keycloak no longer signs you in")
    assert list_sent_subjects(recorded_jobs) == [("bob@example.com", subject) for subject in subjects]


async def test_unlinking_needs_a_confirmation(app: FastAPI, user: User, provider: FakeProvider) -> None:
    async with signed_in_client(app, user) as browser, signed_in_client(app, user) as other_browser:
        await link_account(browser, provider)
        (number,) = await list_linked_ids(browser)
        assert "/accounts/confirm" in (await unlink_account(other_browser, number)).headers["location"]
        assert (await unlink_by_api(other_browser, number)).status_code == 422
        assert await list_linked_ids(browser) == [number]
        assert (await unlink_by_api(browser, number)).status_code == 204


async def test_linking_needs_the_password(
    user_client: AsyncClient, client: AsyncClient, app: FastAPI, database: Database, provider: FakeProvider
) -> None:
    refused = await request_link(user_client, "wrong password")
    assert refused.status_code == 422
    assert "This is not your current password." in refused.text
    assert (await request_link(user_client, provider="google")).status_code == 404
    assert (await request_link(client)).headers["location"].startswith("/accounts/login")
    address = provider.approve(conftest.refresh_url(await request_link(user_client)))
    await sign_in(user_client, app, await make_user(database, "eve@example.com"))
    assert "was not started in this browser" in await follow_to_message(user_client, await user_client.get(address))
    assert await read_links(database) == []


async def test_account_is_linked_to_one_user(app: FastAPI, user_client: AsyncClient, provider: FakeProvider) -> None:
    await link_account(user_client, provider)
    assert "is already linked to your account" in await link_to_message(user_client, provider)
    async with signed_in_client(app) as eve_client:
        assert "is already linked to another account" in await link_to_message(eve_client, provider)
    assert len(await read_links(app.state.database)) == 1


async def test_email_is_a_method(app: FastAPI, client: AsyncClient, database: Database, provider: FakeProvider) -> None:
    app.state.settings = app.state.settings.model_copy(update={"email_sign_in": True})
    await conftest.return_from_provider(client, provider)
    (number,) = await list_linked_ids(client)
    assert "You sign in with a link by e-mail or one of these accounts." in (await client.get("/accounts/profile")).text
    await unlink_account(client, number)
    assert await read_links(database) == []


async def test_last_linked_account_is_kept(client: AsyncClient, provider: FakeProvider, database: Database) -> None:
    await conftest.return_from_provider(client, provider)
    await client.post("/accounts/logout")
    for password in ("x", "!"):
        refused = await client.post("/accounts/login", data={"email": "ada@example.com", "password": password})
        assert refused.status_code == 422
    await conftest.return_from_provider(client, provider)
    (number,) = await list_linked_ids(client)
    assert "This is your only sign-in method." in await follow_to_message(client, await unlink_account(client, number))
    assert (await unlink_by_api(client, number)).status_code == 409
    assert len(await read_links(database)) == 1
    assert (await client.post("/accounts/password", data={"new_password": NEW_PASSWORD})).status_code == 303
    assert (await unlink_by_api(client, number, NEW_PASSWORD)).status_code == 204


@pytest.mark.database("postgresql")  # SQLite has one writer at a time
async def test_concurrent_removals_keep_one(client: AsyncClient, database: Database, provider: FakeProvider) -> None:
    await conftest.return_from_provider(client, provider)
    user_id = (await client.get("/api/v1/users/me")).json()["id"]
    await add_rows(database, LinkedAccount(user_id=user_id, issuer=provider.url, subject="2"))
    first_id, second_id = await list_linked_ids(client)
    async with database.writer() as session:
        await session.execute(select(User).where(col(User.id) == user_id).with_for_update())
        await session.execute(delete(LinkedAccount).where(col(LinkedAccount.id) == second_id))
        concurrent_request = asyncio.create_task(unlink_account(client, first_id))
        async with asyncio.timeout(30):
            while not concurrent_request.done() and not await has_waiting_lock(database):
                await asyncio.sleep(0.01)
    await concurrent_request
    assert await list_linked_ids(client) == [first_id]


async def test_concurrent_links_of_an_account_keep_the_first(
    app: FastAPI, user_client: AsyncClient, database: Database, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await link_account(user_client, provider)
    monkeypatch.setattr(UserDatabase, "get_by_oauth_account", no_user)
    async with signed_in_client(app) as eve_client:
        assert "Please try again." in await link_to_message(eve_client, provider)
    assert await read_links(database) == [(provider.url, "1")]


async def no_user(_database: UserDatabase[User], _issuer: str, _subject: str) -> None:
    """Simulate a query before the other request has committed."""


async def test_removed_provider_is_no_method(client: AsyncClient, database: Database, provider: FakeProvider) -> None:
    await conftest.return_from_provider(client, provider)
    user_id = (await client.get("/api/v1/users/me")).json()["id"]
    await add_rows(database, LinkedAccount(user_id=user_id, issuer="https://gone.example", subject="1"))
    first_id, second_id = await list_linked_ids(client)
    message = await follow_to_message(client, await unlink_account(client, first_id))
    assert "This is your only sign-in method." in message
    assert (await unlink_account(client, second_id)).status_code == 303
    assert await read_links(database) == [(provider.url, "1")]
