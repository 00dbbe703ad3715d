"""Verification links in a browser where the user is signed in."""

from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import User
from opportune.accounts.signed_links import make_link_token
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from tests.opportune.accounts.impersonation.conftest import impersonate
from tests.opportune.accounts.stored_rows import reload

VERIFICATION_PAGE = "/accounts/verify"
EMAIL = "ada@example.com"


async def test_own_link_needs_no_password(
    app: FastAPI, database: Database, user: User, user_client: AsyncClient
) -> None:
    token = make_link_token(app.state.settings, "verify", user)
    page = (await user_client.get(VERIFICATION_PAGE, params={"token": token})).text
    assert "Yes, this is my address" in page
    assert 'type="password"' not in page
    redirect = await user_client.post(VERIFICATION_PAGE, data={"token": token})
    assert (redirect.status_code, redirect.headers["location"]) == (303, "/")
    assert f"Thank you, {EMAIL} is verified." in (await user_client.get("/")).text
    assert (await reload(database, user)).is_verified


async def test_link_of_another_account_needs_its_password(app: FastAPI, database: Database, user: User) -> None:
    token = make_link_token(app.state.settings, "verify", user)
    async with signed_in_client(app, await make_user(database)) as client:
        assert 'type="password"' in (await client.get(VERIFICATION_PAGE, params={"token": token})).text
        assert (await client.post(VERIFICATION_PAGE, data={"token": token})).status_code == 422
    assert not (await reload(database, user)).is_verified


async def test_superuser_signed_in_as_user_needs_the_password(app: FastAPI, database: Database, user: User) -> None:
    token = make_link_token(app.state.settings, "verify", user)
    async with signed_in_client(app, await make_user(database, is_superuser=True)) as boss_client:
        await boss_client.post("/accounts/confirm", data={"current_password": PASSWORD})
        await impersonate(boss_client, user, may_write=True)
        await boss_client.post(VERIFICATION_PAGE, data={"token": token})
    assert not (await reload(database, user)).is_verified


async def test_registration_says_that_an_email_was_sent(client: AsyncClient) -> None:
    await client.post("/accounts/register", data={"email": EMAIL, "password": PASSWORD})
    assert f"An e-mail was sent to {EMAIL}" in (await client.get("/")).text
