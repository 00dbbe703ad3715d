"""Password reset by the link in an e-mail."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import LinkedAccount, Passkey, RecoveryCode
from opportune.accounts.signed_links import make_link_token
from opportune.db.database import Database
from opportune.testing.factories import make_token, make_user, signed_in_client
from opportune.testing.rows import Make
from tests.opportune.accounts.authenticator_app import add_authenticator_app
from tests.opportune.accounts.conftest import token_status
from tests.opportune.accounts.sent_emails import (
    ACCOUNTS,
    AUTH,
    EMAIL,
    NEW_PASSWORD,
    read_newest_link,
    read_sent_subjects,
    read_users,
    settings,
    sign_in_to_api,
    submit_new_password,
)
from tests.opportune.accounts.stored_rows import read_all, reload

__all__ = ["settings"]  # a fixture


async def test_reset_link_is_valid_once_for_an_hour(app: FastAPI, client: AsyncClient, database: Database) -> None:
    user = await make_user(database, EMAIL)
    api_token = await make_token(database, user)
    async with signed_in_client(app, user) as browser:
        await client.post(f"{ACCOUNTS}/forgot-password", data={"email": "Ada@Example.com"})
        path, token = await read_newest_link(app)
        page = await client.get(path, params={"token": token})
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["cache-control"] == "no-store, no-transform"
        assert "content-encoding" not in page.headers
        weak = [await submit_new_password(client, channel, token, "password") for channel in ("page", "api")]
        assert weak == [422, 422]
        assert await submit_new_password(client, "page", token, NEW_PASSWORD) == 303
        assert "You have a new password." in (await client.get(f"{ACCOUNTS}/login")).text
        used = [await submit_new_password(client, channel, token, NEW_PASSWORD) for channel in ("page", "api")]
        assert used == [410, 410]
        assert (await client.get(path, params={"token": token})).status_code == 410
        assert (await browser.get("/accounts/profile")).status_code == 303
    assert await token_status(client, api_token) == 401
    assert (await sign_in_to_api(client), await sign_in_to_api(client, NEW_PASSWORD)) == (401, 200)
    assert await read_users(database) == [(EMAIL, True)]  # opening the link verified the address
    assert (await read_sent_subjects(app))[-1] == (EMAIL, "You have a new password")

    await client.post(f"{AUTH}/forgot-password", json={"email": EMAIL})
    assert await submit_new_password(client, "api", (await read_newest_link(app))[1], "quite another password") == 200


@pytest.mark.parametrize(("is_verified", "location"), [(False, "/"), (True, "/accounts/login/code")])
async def test_only_verified_users_keep_their_sign_in_methods(
    app: FastAPI, client: AsyncClient, database: Database, make: Make, *, is_verified: bool, location: str
) -> None:
    user = await make_user(database, EMAIL, is_verified=is_verified)
    await add_authenticator_app(database, app.state.settings, user)
    await make(LinkedAccount, user_id=user.id)
    await make(Passkey, user_id=user.id)
    token = make_link_token(app.state.settings, "reset", await reload(database, user))
    await submit_new_password(client, "page", token, NEW_PASSWORD)
    response = await client.post(f"{ACCOUNTS}/login", data={"email": EMAIL, "password": NEW_PASSWORD})
    assert response.headers["location"] == location
    for model in (LinkedAccount, Passkey, RecoveryCode):
        assert bool(await read_all(database, model)) is is_verified, model


async def test_reset_responses_do_not_reveal_accounts(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    await make_user(database, "off@example.com", is_active=False)
    await make_user(database, "done@example.com", is_verified=True)

    for page, endpoint, subject in (
        ("forgot-password", "forgot-password", "Choose a new password"),
        ("verify/again", "verify-request", "Verify your address"),
    ):
        for email in (EMAIL, "off@example.com", "nobody@example.com"):
            page_response = await client.post(f"{ACCOUNTS}/{page}", data={"email": email})
            api_response = await client.post(f"{AUTH}/{endpoint}", json={"email": email})
            assert (page_response.status_code, "Check your mail" in page_response.text) == (200, True)
            assert (api_response.status_code, api_response.json()["detail"][:23]) == (202, "If this address is righ")
        assert (await read_sent_subjects(app))[-2:] == [(EMAIL, subject)] * 2
    await client.post(f"{ACCOUNTS}/verify/again", data={"email": "done@example.com"})
    assert len(await read_sent_subjects(app)) == 4
