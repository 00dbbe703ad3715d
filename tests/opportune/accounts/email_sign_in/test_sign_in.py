"""In by an e-mail: by its link, by its code, from programs."""

import time

import pyotp
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from pydantic import SecretStr
from sqlalchemy import func, select

from opportune.accounts.models import LinkedAccount, RecoveryCode, Session, User
from opportune.accounts.sign_in_methods import totp
from opportune.accounts.sign_in_methods.available import signs_in_by_email
from opportune.db.database import Database
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.accounts.email_sign_in.asked_emails import (
    API,
    PATH,
    ask,
    browser,
    is_signed_in,
    newest_code,
    newest_token,
    press,
    type_code,
)
from tests.opportune.accounts.sent_emails import EMAIL, ME, enter, sent_emails, settings, users

__all__ = ["settings"]  # a fixture

pytestmark = pytest.mark.database("sqlite")


async def turn_on_second_factor(app: FastAPI, user: User) -> str:
    async with app.state.database.writer() as session:
        session.add(user)
        key = totp.start_setup(app.state.settings, user).key
        assert await totp.enable(session, app.state.settings, user, key, pyotp.TOTP(key).now())
    return key


async def test_the_code_signs_in_where_the_email_was_asked_for(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    await make_user(database, EMAIL, is_verified=True)
    asked = await ask(client, "Ada@Example.com", next="/accounts/tokens", remember="true")
    assert asked.headers["location"] == f"{PATH}/code"
    assert EMAIL in (await client.get(f"{PATH}/code")).text
    code = await newest_code(app)
    arrived = await type_code(client, f" {code[:3]} {code[3:]} ")
    assert arrived.headers["location"] == "/accounts/tokens"
    assert await is_signed_in(client)
    async with database.reader() as session:
        assert (await session.scalars(select(Session))).one().is_remembered
    assert (await client.get(PATH)).status_code == 303
    assert (await client.get(f"{PATH}/code")).headers["location"] == PATH  # the request is forgotten


async def test_the_link_signs_in_by_its_button(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL, hashed_password="", is_verified=True)  # who came by another site's sign-in
    await ask(client, next="/accounts/tokens")
    token = await newest_token(app)
    page = await client.get(f"{PATH}/link", params={"token": token})
    assert "another browser" not in page.text
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store, no-transform"
    arrived = await press(client, token)
    assert arrived.headers["location"] == "/accounts/tokens"
    assert await is_signed_in(client)


async def test_in_another_browser_the_link_s_page_tells_who_asked_and_signs_in_there_alone(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    await make_user(database, EMAIL, is_verified=True)
    async with browser(app, "198.51.100.7") as elsewhere:
        await ask(elsewhere, remember="true", next="/accounts/tokens")
        token = await newest_token(app)
        page = (await client.get(f"{PATH}/link", params={"token": token})).text
        assert "asked for in another browser: <strong>Other</strong> at 198.51.100.7" in page
        assert EMAIL in page
        assert (await press(client, token)).headers["location"] == "/accounts/tokens"
        assert await is_signed_in(client)
        assert not await is_signed_in(elsewhere)
    async with database.reader() as session:
        assert not (await session.scalars(select(Session))).one().is_remembered  # which was ticked for that one


async def test_the_email_says_who_asked_in_text_and_in_html(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    await make_user(database, EMAIL)
    async with browser(app, "198.51.100.7") as elsewhere:
        await ask(elsewhere)
    code, email = await newest_code(app), (await sent_emails(app))[-1]
    for kind in ("plain", "html"):
        body = email.get_body((kind,))
        assert body
        words = " ".join(body.get_content().split())
        assert "It was asked for by Other at 198.51.100.7. If that was not you, do nothing" in words
        assert code in words
        assert "within 10 minutes" in words


async def test_who_has_a_second_factor_still_gives_it(app: FastAPI, client: AsyncClient, database: Database) -> None:
    user = await make_user(database, EMAIL, is_verified=True)
    key = await turn_on_second_factor(app, user)
    await ask(client, next="/accounts/tokens")
    assert (await type_code(client, await newest_code(app))).headers["location"] == "/accounts/login/code"
    assert not await is_signed_in(client)
    arrived = await client.post("/accounts/login/code", data={"code": pyotp.TOTP(key).at(time.time() + 30)})
    assert arrived.headers["location"] == "/accounts/tokens"
    assert await is_signed_in(client)


async def test_what_a_stranger_has_opened_with_an_address_ends_when_its_owner_signs_in(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    user = await make_user(database, EMAIL)
    async with database.writer() as session:
        session.add(LinkedAccount(user_id=user.id, issuer="https://id.example", subject="1"))
    async with signed_in_client(app, user) as stranger:
        await ask(client)
        arrived = await type_code(client, await newest_code(app))
        assert "Please choose a new password" in (await client.get(arrived.headers["location"])).text
        assert not await is_signed_in(stranger)
    assert await users(database) == [(EMAIL, True)]
    assert await enter(client) == 401
    async with database.reader() as session:
        assert await session.scalar(select(func.count()).select_from(LinkedAccount)) == 0
    chosen = await client.post("/accounts/password", data={"new_password": "another good password"})
    assert chosen.status_code == 303


async def test_a_strangers_authenticator_app_keeps_nobody_out_of_their_own_address(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    user = await make_user(database, EMAIL)
    await turn_on_second_factor(app, user)
    async with database.writer() as session:
        session.add(RecoveryCode(user_id=user.id, code_hash="0" * 64))
    await ask(client)
    await press(client, await newest_token(app))
    assert await is_signed_in(client)
    async with database.reader() as session:
        assert await session.scalar(select(func.count()).select_from(RecoveryCode)) == 0


async def test_a_verified_account_keeps_its_password_and_sessions(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    user = await make_user(database, EMAIL, is_verified=True)
    async with signed_in_client(app, user) as other:
        await ask(client)
        await press(client, await newest_token(app))
        assert await is_signed_in(other)
    assert await enter(client) == 200


async def test_a_program_exchanges_the_code_for_a_token(app: FastAPI, client: AsyncClient, database: Database) -> None:
    user = await make_user(database, EMAIL, is_verified=True)
    key = await turn_on_second_factor(app, user)
    asked = await client.post(API, json={"email": EMAIL})
    assert asked.status_code == 202
    given = {"request": asked.json()["request"], "code": await newest_code(app)}
    without = await client.post(f"{API}/code", json=given)
    assert (without.status_code, without.json()["detail"][:12]) == (401, "Also send a ")
    given["second_factor"] = pyotp.TOTP(key).at(time.time() + 30)
    granted = await client.post(f"{API}/code", json=given)
    bearer = {"Authorization": f"Bearer {granted.json()['access_token']}"}
    assert (await client.get(ME, headers=bearer)).json()["email"] == EMAIL
    assert (await client.post(f"{API}/code", json=given)).status_code != 200


async def test_it_is_offered_where_mail_is_sent_until_a_setting_turns_it_off(app: FastAPI, client: AsyncClient) -> None:
    user, plain = User(email=EMAIL, hashed_password="", is_verified=True), app.state.settings
    for changed, offered in (
        ({}, True),
        ({"email_sign_in": False}, False),
        ({"mail_url": SecretStr("console:")}, True),  # the mailbox of development
        ({"mail_url": SecretStr("console:"), "environment": "production"}, False),
    ):
        app.state.settings = plain.model_copy(update=changed)
        assert ("E-mail me a link" in (await client.get("/accounts/login")).text) is offered
        answers = {await status(client, path) for path in (PATH, f"{PATH}/code", f"{PATH}/link")}
        assert (404 in answers) is not offered
        assert ((await client.post(API, json={"email": EMAIL})).status_code == 404) is not offered
        assert signs_in_by_email(app.state.settings, user) is offered
    assert not signs_in_by_email(plain, User(email=EMAIL, hashed_password=""))


async def status(client: AsyncClient, path: str) -> int:
    return (await client.get(path)).status_code
