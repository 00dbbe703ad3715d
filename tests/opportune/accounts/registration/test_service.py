"""Registration by the link in an e-mail."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.flows import registration
from opportune.accounts.flows.registration import (
    REGISTRATION_PURPOSE,
    VERIFICATIONS_PER_ACCOUNT,
    send_password_reset_email,
    send_registration_email,
)
from opportune.accounts.passwords import hashing
from opportune.accounts.passwords.hashing import hash_password
from opportune.accounts.users import context
from opportune.config.settings import Settings
from opportune.config.signing import seal
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user
from opportune.testing.plugin import settings_for
from tests.opportune.accounts.sent_emails import (
    ACCOUNTS,
    AUTH,
    EMAIL,
    read_newest_link,
    read_sent_subjects,
    read_users,
    register,
    settings,
    sign_in_to_api,
)

__all__ = ["settings"]  # a fixture


async def test_registration_sends_an_email(app: FastAPI, client: AsyncClient, database: Database) -> None:
    response = await register(client, "Ada@Example.com")
    assert (response.status_code, "Check your mail" in response.text) == (200, True)
    assert "set-cookie" not in response.headers
    assert (await read_users(database), await sign_in_to_api(client)) == ([], 401)
    path, token = await read_newest_link(app)
    page = await client.get(path, params={"token": token})
    assert (page.status_code, page.headers["referrer-policy"]) == (200, "same-origin")
    assert await read_users(database) == []  # opening the link changes nothing
    redirect = await client.post(path, data={"token": token, "password": PASSWORD})
    assert (redirect.status_code, redirect.headers["location"]) == (303, "/accounts/login")
    assert "Thank you, your address is verified." in (await client.get("/accounts/login")).text
    assert (await read_users(database), await sign_in_to_api(client)) == ([(EMAIL, True)], 200)


async def test_registration_link_is_valid_once(app: FastAPI, client: AsyncClient, database: Database) -> None:
    response = await register(client, password="password")
    assert (response.status_code, "too easy to guess" in response.text) == (422, True)
    assert await read_sent_subjects(app) == []
    await register(client)
    path, token = await read_newest_link(app)
    proof = {"token": token, "password": PASSWORD}
    await client.post(path, data=proof)
    for response in (await client.get(path, params={"token": token}), await client.post(path, data=proof)):
        assert (response.status_code, "is no longer valid" in response.text) == (410, True)
    assert len(await read_users(database)) == 1


async def test_registered_address_gets_another_email(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    taken, free = await register(client, "ADA@example.com"), await register(client, "bob@example.com")
    assert taken.status_code == free.status_code
    assert taken.text == free.text
    assert taken.headers.keys() == free.headers.keys()
    assert await read_sent_subjects(app) == [
        (EMAIL, "You already have an account"),
        ("bob@example.com", "Finish your registration"),
    ]


async def test_api_does_not_reveal_accounts(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    responses = [
        await client.post(f"{AUTH}/register", json={"email": email, "password": PASSWORD})
        for email in (EMAIL, "bob@example.com")
    ]
    assert [response.status_code for response in responses] == [202, 202]
    assert responses[0].json() == responses[1].json()
    _, token = await read_newest_link(app)
    proof = {"token": token, "password": PASSWORD}
    created = await client.post(f"{AUTH}/verify", json=proof)
    assert (created.status_code, created.json()["email"]) == (200, "bob@example.com")
    assert (await client.post(f"{AUTH}/verify", json=proof)).status_code == 410


async def test_registration_link_needs_the_password(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await register(client)
    path, token = await read_newest_link(app)
    for password_fields in ({}, {"password": "a password of my own"}):
        page = await client.post(path, data={"token": token, **password_fields})
        assert page.status_code == 422
        assert "This is not the password of the registration." in page.text
        response = await client.post(f"{AUTH}/verify", json={"token": token, **password_fields})
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, ["password"])
    assert await read_users(database) == []


async def test_guesses_at_a_registration_are_limited(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert VERIFICATIONS_PER_ACCOUNT.limit == 20
    monkeypatch.setattr(VERIFICATIONS_PER_ACCOUNT, "limit", 3)
    await register(client)
    path, token = await read_newest_link(app)
    statuses = [(await client.post(path, data={"token": token, "password": "guess"})).status_code for _ in range(4)]
    assert statuses == [422, 422, 422, 429]


async def test_taken_and_free_addresses_take_the_same_work(
    client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_user(database, EMAIL)
    steps: list[str] = []

    async def record_call(password: str) -> str:
        steps.append("hash")
        return await hash_password(password)

    monkeypatch.setattr(hashing, "hash_password", record_call)
    for module in (registration, context):
        monkeypatch.setattr(module, "defer", lambda _session, call: steps.append(call.job.name))
    for email in (EMAIL, "bob@example.com"):
        await register(client, email)
        await client.post(f"{ACCOUNTS}/forgot-password", data={"email": email})
    assert steps == ["hash", send_registration_email.name, send_password_reset_email.name] * 2


async def test_site_without_mail_registers_immediately(settings: Settings, client: AsyncClient, app: FastAPI) -> None:
    without_mail = settings.model_copy(
        update={"mail_url": settings_for("sqlite://").mail_url, "environment": "production"}
    )
    app.state.settings = without_mail
    assert "This site sends no e-mails" in (await client.get(f"{ACCOUNTS}/forgot-password")).text
    assert (await register(client)).status_code == 303
    app.state.settings = settings
    assert await read_sent_subjects(app) == []


async def test_closed_registration_creates_no_account(app: FastAPI, client: AsyncClient, database: Database) -> None:
    app.state.settings = app.state.settings.model_copy(update={"registration": "closed"})
    for page in (await client.get(f"{ACCOUNTS}/register"), await register(client)):
        assert (page.status_code, "Registration is closed" in page.text, "<input" in page.text) == (403, True, False)
    response = await client.post(f"{AUTH}/register", json={"email": EMAIL, "password": PASSWORD})
    assert (response.status_code, "accepts no new registrations" in response.json()["detail"]) == (403, True)
    older_link = seal(app.state.settings, REGISTRATION_PURPOSE, f'["{EMAIL}", "{await hash_password(PASSWORD)}"]')
    assert (await client.get(f"{ACCOUNTS}/verify", params={"token": older_link})).status_code == 410
    form = {"token": older_link, "password": PASSWORD}
    assert (await client.post(f"{ACCOUNTS}/verify", data=form)).status_code == 410
    assert (await read_users(database), await read_sent_subjects(app)) == ([], [])
    for path in ("/", "/accounts/login", "/accounts/verify", "/accounts/register", "/nothing"):
        assert 'href="/accounts/register' not in (await client.get(path)).text, path
