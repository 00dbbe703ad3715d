"""Sign-in by link or code of an e-mail, on pages and in the API."""

from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from opportune.accounts.models import LinkedAccount, Session, User
from opportune.accounts.sign_in_methods.available import signs_in_by_email
from opportune.db.database import Database
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.accounts.authenticator_app import add_authenticator_app
from tests.opportune.accounts.conftest import bearer, is_signed_in
from tests.opportune.accounts.email_sign_in import sign_in_emails as emails
from tests.opportune.accounts.sent_emails import EMAIL, ME, read_users, settings, sign_in_to_api
from tests.opportune.stored_rows import add_rows, read_all, read_one

__all__ = ["settings"]  # a fixture


async def test_code_signs_in_the_requesting_browser(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL, is_verified=True)
    requested = await emails.request_email(client, "Ada@Example.com", next="/accounts/tokens", remember="true")
    assert requested.headers["location"] == f"{emails.SIGN_IN_PAGE}/code"
    assert EMAIL in (await client.get(f"{emails.SIGN_IN_PAGE}/code")).text
    code = await emails.read_newest_code(app)
    assert (await emails.send_code(client, "")).status_code == 422
    redirect = await emails.send_code(client, f" {code[:3]} {code[3:]} ")
    assert redirect.headers["location"] == "/accounts/tokens"
    assert await is_signed_in(client)
    assert (await read_one(database, Session)).is_remembered
    assert (await client.get(emails.SIGN_IN_PAGE)).status_code == 303
    redirect = await client.get(f"{emails.SIGN_IN_PAGE}/code")
    assert redirect.headers["location"] == emails.SIGN_IN_PAGE  # the request is forgotten


async def test_link_signs_in_after_a_click(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL, hashed_password="", is_verified=True)  # as after a registration by a provider
    await emails.request_email(client, next="/accounts/tokens")
    token = await emails.read_newest_token(app)
    page = await client.get(f"{emails.SIGN_IN_PAGE}/link", params={"token": token})
    assert "another browser" not in page.text
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store, no-transform"
    assert (await emails.submit_link(client, token)).headers["location"] == "/accounts/tokens"
    assert await is_signed_in(client)


async def test_link_in_another_browser_names_requester(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL, is_verified=True)
    await emails.request_email(client, "nobody@example.com")
    async with emails.new_browser(app, "198.51.100.7") as other_browser:
        await emails.request_email(other_browser, remember="true", next="/accounts/tokens")
        token = await emails.read_newest_token(app)
        page = (await client.get(f"{emails.SIGN_IN_PAGE}/link", params={"token": token})).text
        assert "requested in another browser: <strong>Other</strong> at 198.51.100.7" in page
        assert ">ada@<wbr>example.com</strong>" in page
        assert (await emails.submit_link(client, token)).headers["location"] == "/accounts/tokens"
        assert await is_signed_in(client)
        assert not await is_signed_in(other_browser)
    assert not (await read_one(database, Session)).is_remembered, "it was selected in the other browser"


async def test_second_factor_is_still_required(app: FastAPI, client: AsyncClient, database: Database) -> None:
    user = await make_user(database, EMAIL, is_verified=True)
    authenticator = await add_authenticator_app(database, app.state.settings, user)
    await emails.request_email(client, next="/accounts/tokens")
    redirect = await emails.send_code(client, await emails.read_newest_code(app))
    assert redirect.headers["location"] == "/accounts/login/code"
    assert not await is_signed_in(client)
    redirect = await client.post("/accounts/login/code", data={"code": authenticator.code})
    assert redirect.headers["location"] == "/accounts/tokens"
    assert await is_signed_in(client)


async def test_sign_in_ends_access_of_earlier_registrant(app: FastAPI, client: AsyncClient, database: Database) -> None:
    user = await make_user(database, EMAIL)
    await add_rows(database, LinkedAccount(user_id=user.id, issuer="https://id.example", subject="1"))
    async with signed_in_client(app, user) as visitor:
        await emails.request_email(client)
        redirect = await emails.send_code(client, await emails.read_newest_code(app))
        assert "Please choose a new password" in (await client.get(redirect.headers["location"])).text
        assert not await is_signed_in(visitor)
    assert await read_users(database) == [(EMAIL, True)]
    assert await sign_in_to_api(client) == 401
    assert await read_all(database, LinkedAccount) == []
    changed = await client.post("/accounts/password", data={"new_password": "another good password"})
    assert changed.status_code == 303


async def test_verified_user_keeps_password_and_sessions(app: FastAPI, client: AsyncClient, database: Database) -> None:
    user = await make_user(database, EMAIL, is_verified=True)
    async with signed_in_client(app, user) as other_browser:
        await emails.request_email(client)
        await emails.submit_link(client, await emails.read_newest_token(app))
        assert await is_signed_in(other_browser)
    assert await sign_in_to_api(client) == 200


async def test_api_exchanges_the_code_for_a_token(app: FastAPI, client: AsyncClient, database: Database) -> None:
    user = await make_user(database, EMAIL, is_verified=True)
    authenticator = await add_authenticator_app(database, app.state.settings, user)
    requested = await client.post(emails.SIGN_IN_API, json={"email": EMAIL})
    assert requested.status_code == 202
    data = {"request": requested.json()["request"], "code": await emails.read_newest_code(app)}
    refused = await client.post(f"{emails.SIGN_IN_API}/code", json=data)
    assert (refused.status_code, refused.json()["detail"][:12]) == (401, "Also send a ")
    data["second_factor"] = authenticator.code
    granted = await client.post(f"{emails.SIGN_IN_API}/code", json=data)
    assert (await client.get(ME, headers=bearer(granted.json()["access_token"]))).json()["email"] == EMAIL
    assert (await client.post(f"{emails.SIGN_IN_API}/code", json=data)).status_code != 200


async def test_sign_in_by_email_depends_on_settings(app: FastAPI, client: AsyncClient) -> None:
    user, original = User(email=EMAIL, hashed_password="", is_verified=True), app.state.settings
    for changes, is_offered in (
        ({}, True),
        ({"email_sign_in": False}, False),
        ({"mail_url": SecretStr("console:")}, True),  # the mailbox of development
        ({"mail_url": SecretStr("console:"), "environment": "production"}, False),
    ):
        app.state.settings = original.model_copy(update=changes)
        assert ("E-mail me a link" in (await client.get("/accounts/login")).text) is is_offered
        for path in (emails.SIGN_IN_PAGE, f"{emails.SIGN_IN_PAGE}/code", f"{emails.SIGN_IN_PAGE}/link"):
            assert ((await client.get(path)).status_code == 404) is not is_offered
        assert ((await client.post(emails.SIGN_IN_API, json={"email": EMAIL})).status_code == 404) is not is_offered
        assert signs_in_by_email(app.state.settings, user) is is_offered
    assert not signs_in_by_email(original, User(email=EMAIL, hashed_password=""))
