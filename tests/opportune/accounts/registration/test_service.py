"""Registering, on a site whose e-mails arrive, and the link that ends it."""

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from opportune.accounts.password_reset.service import send_password_reset_email
from opportune.accounts.passwords import hashing
from opportune.accounts.registration import service
from opportune.accounts.registration.service import send_registration_email
from opportune.accounts.users import context
from opportune.accounts.verification.service import VERIFICATIONS_PER_ACCOUNT
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user
from opportune.testing.plugin import settings_for
from tests.opportune.accounts.sent_emails import (
    ACCOUNTS,
    AUTH,
    EMAIL,
    enter,
    newest_link,
    register,
    settings,
    told,
    users,
)

__all__ = ["settings"]  # a fixture

on_sqlite = pytest.mark.database("sqlite")


@on_sqlite
async def test_registering_ends_with_an_email(app: FastAPI, client: AsyncClient, database: Database) -> None:
    answer = await register(client, "Ada@Example.com")

    assert (answer.status_code, "Check your mail" in answer.text) == (200, True)
    assert "set-cookie" not in answer.headers
    assert (await users(database), await enter(client)) == ([], 401)
    path, token = await newest_link(app)
    page = await client.get(path, params={"token": token})
    assert (page.status_code, page.headers["referrer-policy"]) == (200, "same-origin")
    assert await users(database) == []  # programs open links by themselves: nothing has changed
    done = await client.post(path, data={"token": token, "password": PASSWORD})
    assert (done.status_code, done.headers["location"]) == (303, "/accounts/login")
    assert "Thank you, your address is verified." in (await client.get("/accounts/login")).text
    assert (await users(database), await enter(client)) == ([(EMAIL, True)], 200)


@on_sqlite
async def test_a_weak_password_is_refused_before_any_email_and_a_link_registers_once(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    answer = await register(client, password="password")

    assert answer.status_code == 422
    assert "too easy to guess" in answer.text
    assert await told(app) == []

    await register(client)
    path, token = await newest_link(app)
    proof = {"token": token, "password": PASSWORD}
    await client.post(path, data=proof)

    for again in (await client.get(path, params={"token": token}), await client.post(path, data=proof)):
        assert again.status_code == 410
        assert "does not work any more" in again.text
    assert len(await users(database)) == 1


@on_sqlite
async def test_who_is_registered_already_is_told_so_by_mail_alone(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    await make_user(database, EMAIL)

    taken, free = await register(client, "ADA@example.com"), await register(client, "bob@example.com")

    assert taken.status_code == free.status_code
    assert taken.text == free.text
    assert taken.headers.keys() == free.headers.keys()
    assert await told(app) == [(EMAIL, "You have an account already"), ("bob@example.com", "Finish your registration")]


@on_sqlite
async def test_programs_learn_no_more(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)

    answers = [
        await client.post(f"{AUTH}/register", json={"email": email, "password": PASSWORD})
        for email in (EMAIL, "bob@example.com")
    ]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    _, token = await newest_link(app)
    proof = {"token": token, "password": PASSWORD}
    made = await client.post(f"{AUTH}/verify", json=proof)
    assert (made.status_code, made.json()["email"]) == (200, "bob@example.com")
    assert (await client.post(f"{AUTH}/verify", json=proof)).status_code == 410


@on_sqlite
async def test_who_did_not_register_opens_no_account_that_somebody_else_knows_the_password_of(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    await register(client)
    path, token = await newest_link(app)

    for given in ({}, {"password": "a password of my own"}):
        page = await client.post(path, data={"token": token, **given})
        assert page.status_code == 422
        assert "This is not the password of the registration." in page.text
        answer = await client.post(f"{AUTH}/verify", json={"token": token, **given})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, ["password"])
    assert await users(database) == []


@on_sqlite
async def test_guesses_at_the_password_of_a_registration_end(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert VERIFICATIONS_PER_ACCOUNT.limit == 20
    monkeypatch.setattr(VERIFICATIONS_PER_ACCOUNT, "limit", 3)
    await register(client)
    path, token = await newest_link(app)
    codes = [(await client.post(path, data={"token": token, "password": "guess"})).status_code for _ in range(4)]
    assert codes == [422, 422, 422, 429]


@on_sqlite
async def test_taken_and_free_addresses_take_the_same_work(
    client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_user(database, EMAIL)
    done: list[str] = []
    hashed = hashing.hash_password

    async def note(password: str) -> str:
        done.append("hash")
        return await hashed(password)

    monkeypatch.setattr(hashing, "hash_password", note)
    for module in (service, context):
        monkeypatch.setattr(module, "defer", lambda _session, call: done.append(call.job.name))

    for email in (EMAIL, "bob@example.com"):
        await register(client, email)
        await client.post(f"{ACCOUNTS}/forgot-password", data={"email": email})

    assert done == ["hash", send_registration_email.name, send_password_reset_email.name] * 2


@on_sqlite
async def test_a_site_that_sends_no_mail_says_so_and_lets_people_in_at_once(
    settings: Settings, client: AsyncClient, app: FastAPI
) -> None:
    silent = settings.model_copy(update={"mail_url": settings_for("sqlite://").mail_url, "environment": "production"})
    app.state.settings = silent

    assert "This site sends no mail" in (await client.get(f"{ACCOUNTS}/forgot-password")).text
    assert (await register(client)).status_code == 303
    app.state.settings = settings
    assert await told(app) == []
