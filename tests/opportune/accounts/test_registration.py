"""Registration, verification and password reset by links in e-mails."""

import json
from itertools import product
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import update

from opportune.accounts import hash_password, setup, signed_links
from opportune.accounts.flows import registration
from opportune.accounts.models import LinkedAccount, Passkey, RecoveryCode, User
from opportune.accounts.passwords import hashing
from opportune.accounts.signed_links import make_link_token
from opportune.accounts.users import context
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import InvalidLinkError
from opportune.config import Settings, seal
from opportune.contrib.teams.models import Team, TeamMember, TeamRole
from opportune.db.database import Database
from opportune.db.hooks.registry import after_create, after_delete, after_update, temporary_hooks
from opportune.errors import FieldErrors
from opportune.testing import PASSWORD, Make, make_team, make_token, make_user, signed_in_client
from opportune.web.client import Client
from tests.opportune.accounts.authenticator_app import add_authenticator_app
from tests.opportune.accounts.conftest import token_status
from tests.opportune.accounts.impersonation.conftest import impersonate
from tests.opportune.accounts.sent_emails import (
    EMAIL,
    NEW_PASSWORD,
    read_newest_link,
    read_sent_subjects,
    read_users,
    register,
    settings,
    sign_in_to_api,
    submit_new_password,
)
from tests.opportune.contrib.teams.members import member_id
from tests.opportune.stored_rows import read_all, reload

__all__ = ["settings"]  # a fixture


async def test_registration_link_works_once(app: FastAPI, client: AsyncClient, database: Database) -> None:
    response = await register(client, password="password")
    assert (response.status_code, "too easy to guess" in response.text) == (422, True)
    assert await read_sent_subjects(app) == []
    response = await register(client, "Ada@Example.com")
    assert (response.status_code, "Check your mail" in response.text) == (200, True)
    assert "set-cookie" not in response.headers
    assert (await read_users(database), await sign_in_to_api(client)) == ([], 401)
    path, token = await read_newest_link(app)
    page = await client.get(path, params={"token": token})
    assert (page.status_code, page.headers["referrer-policy"]) == (200, "same-origin")
    assert await read_users(database) == []  # opening the link changes nothing
    proof = {"token": token, "password": PASSWORD}
    redirect = await client.post(path, data=proof)
    assert (redirect.status_code, redirect.headers["location"]) == (303, "/accounts/login")
    assert "Thank you, your address is verified." in (await client.get("/accounts/login")).text
    for used in (await client.get(path, params={"token": token}), await client.post(path, data=proof)):
        assert (used.status_code, "is no longer valid" in used.text) == (410, True)
    assert (await read_users(database), await sign_in_to_api(client)) == ([(EMAIL, True)], 200)


async def test_registered_address_gets_another_email(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    taken, free = await register(client, "ADA@example.com"), await register(client, "bob@example.com")
    assert taken.status_code == free.status_code
    assert taken.text == free.text
    assert taken.headers.keys() == free.headers.keys()
    subjects = {EMAIL: "You already have an account", "bob@example.com": "Finish your registration"}
    assert await read_sent_subjects(app) == [*subjects.items()]


async def test_api_does_not_reveal_accounts(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    forms = [{"email": email, "password": PASSWORD} for email in (EMAIL, "bob@example.com")]
    responses = [await client.post("/api/v1/auth/register", json=form) for form in forms]
    assert [response.status_code for response in responses] == [202, 202]
    assert responses[0].json() == responses[1].json()
    _, token = await read_newest_link(app)
    proof = {"token": token, "password": PASSWORD}
    created = await client.post("/api/v1/auth/verify", json=proof)
    assert (created.status_code, created.json()["email"]) == (200, "bob@example.com")
    assert (await client.post("/api/v1/auth/verify", json=proof)).status_code == 410


@pytest.mark.parametrize("has_account", [False, True])
async def test_link_needs_the_password(
    app: FastAPI, client: AsyncClient, database: Database, has_account: bool
) -> None:
    if has_account:  # staff may have created the account, and know its password
        await make_user(database, EMAIL)
    await (client.post("/accounts/verify/again", data={"email": EMAIL}) if has_account else register(client))
    path, token = await read_newest_link(app)
    for password_fields in ({}, {"password": "a password of my own"}):
        page = await client.post(path, data={"token": token, **password_fields})
        assert (page.status_code, "This is not the password of the registration." in page.text) == (422, True)
        response = await client.post("/api/v1/auth/verify", json={"token": token, **password_fields})
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, ["password"])
    assert await read_users(database) == [(EMAIL, False)] * has_account


async def test_guesses_are_limited(app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert registration.VERIFICATIONS_PER_ACCOUNT.limit == 20
    monkeypatch.setattr(registration.VERIFICATIONS_PER_ACCOUNT, "limit", 3)
    await register(client)
    path, token = await read_newest_link(app)
    statuses = [(await client.post(path, data={"token": token, "password": "guess"})).status_code for _ in range(4)]
    assert statuses == [422, 422, 422, 429]


async def test_any_address_costs_same(client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
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
        await client.post("/accounts/forgot-password", data={"email": email})
    assert steps == ["hash", registration.send_registration_email.name, registration.send_password_reset_email.name] * 2


async def test_closed_registration_creates_no_account(app: FastAPI, client: AsyncClient, database: Database) -> None:
    app.state.settings = app.state.settings.model_copy(update={"registration": "closed"})
    for page in (await client.get("/accounts/register"), await register(client)):
        assert (page.status_code, "Registration is closed" in page.text, "<input" in page.text) == (403, True, False)
    response = await client.post("/api/v1/auth/register", json={"email": EMAIL, "password": PASSWORD})
    assert (response.status_code, "accepts no new registrations" in response.json()["detail"]) == (403, True)
    new_account = {"email": EMAIL, "hashed_password": await hash_password(PASSWORD)}
    older_link = seal(app.state.settings, registration.REGISTRATION_PURPOSE, json.dumps(new_account))
    assert (await client.get("/accounts/verify", params={"token": older_link})).status_code == 410
    form = {"token": older_link, "password": PASSWORD}
    assert (await client.post("/accounts/verify", data=form)).status_code == 410
    assert (await read_users(database), await read_sent_subjects(app)) == ([], [])
    for path in ("/", "/accounts/login", "/accounts/verify", "/accounts/register", "/nothing"):
        assert 'href="/accounts/register' not in (await client.get(path)).text, path


async def test_address_is_verified_once_by_a_button(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    await client.post("/accounts/verify/again", data={"email": EMAIL})
    path, token = await read_newest_link(app)
    assert (await client.get(path, params={"token": token})).status_code == 200
    assert await read_users(database) == [(EMAIL, False)]
    assert (await client.post(path, data={"token": token, "password": PASSWORD})).status_code == 303
    assert await read_users(database) == [(EMAIL, True)]
    assert (await client.post(path, data={"token": token, "password": PASSWORD})).status_code == 410


async def test_link_does_not_verify_another_address(app: FastAPI, database: Database, settings: Settings) -> None:
    user = await make_user(database, EMAIL)
    token = signed_links.make_link_token(settings, "verify", user)
    async with database.writer() as session, database.reader() as other_session:
        match = await signed_links.read_link_token(other_session, settings, "verify", token)
        assert match
        await session.execute(update(User).values(email="bob@example.com"))
        context = AccountContext(session, settings, app.state.rate_limiter, Client())
        with pytest.raises(InvalidLinkError):
            await registration._verify_user(context, match[0])
    assert await read_users(database) == [("bob@example.com", False)]


async def test_reset_link_is_valid_once_for_an_hour(app: FastAPI, client: AsyncClient, database: Database) -> None:
    user = await make_user(database, EMAIL)
    api_token = await make_token(database, user)
    async with signed_in_client(app, user) as browser:
        await client.post("/accounts/forgot-password", data={"email": "Ada@Example.com"})
        path, token = await read_newest_link(app)
        page = await client.get(path, params={"token": token})
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["cache-control"] == "no-store, no-transform"
        assert "content-encoding" not in page.headers
        weak = [await submit_new_password(client, channel, token, "password") for channel in ("page", "api")]
        assert weak == [422, 422]
        assert await submit_new_password(client, "page", token, NEW_PASSWORD) == 303
        assert "You have a new password." in (await client.get("/accounts/login")).text
        used = [await submit_new_password(client, channel, token, NEW_PASSWORD) for channel in ("page", "api")]
        assert used == [410, 410]
        assert (await client.get(path, params={"token": token})).status_code == 410
        assert (await browser.get("/accounts/profile")).status_code == 303
    assert await token_status(client, api_token) == 401
    assert (await sign_in_to_api(client), await sign_in_to_api(client, NEW_PASSWORD)) == (401, 200)
    assert await read_users(database) == [(EMAIL, True)]  # opening the link verified the address
    assert (await read_sent_subjects(app))[-1] == (EMAIL, "You have a new password")
    await client.post("/api/v1/auth/forgot-password", json={"email": EMAIL})
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
    response = await client.post("/accounts/login", data={"email": EMAIL, "password": NEW_PASSWORD})
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
            page_response = await client.post(f"/accounts/{page}", data={"email": email})
            api_response = await client.post(f"/api/v1/auth/{endpoint}", json={"email": email})
            assert (page_response.status_code, "Check your mail" in page_response.text) == (200, True)
            assert (api_response.status_code, api_response.json()["detail"][:23]) == (202, "If this address is righ")
        assert (await read_sent_subjects(app))[-2:] == [(EMAIL, subject)] * 2
    await client.post("/accounts/verify/again", data={"email": "done@example.com"})
    assert len(await read_sent_subjects(app)) == 4


async def test_own_link_needs_no_proof(app: FastAPI, database: Database, user: User, user_client: AsyncClient) -> None:
    token = make_link_token(app.state.settings, "verify", user)
    page = (await user_client.get("/accounts/verify", params={"token": token})).text
    assert "Yes, this is my address" in page
    assert 'type="password"' not in page
    redirect = await user_client.post("/accounts/verify", data={"token": token})
    assert (redirect.status_code, redirect.headers["location"]) == (303, "/")
    assert f"Thank you, {EMAIL} is verified." in (await user_client.get("/")).text
    assert (await reload(database, user)).is_verified


@pytest.mark.parametrize("is_impersonated", [False, True])
async def test_link_of_another_account_needs_its_password(
    app: FastAPI, database: Database, user: User, *, is_impersonated: bool
) -> None:
    token = make_link_token(app.state.settings, "verify", user)
    async with signed_in_client(app, await make_user(database, is_superuser=True)) as client:
        if is_impersonated:
            await client.post("/accounts/confirm", data={"current_password": PASSWORD})
            await impersonate(client, user, may_write=True)
        assert 'type="password"' in (await client.get("/accounts/verify", params={"token": token})).text
        assert (await client.post("/accounts/verify", data={"token": token})).status_code == 422
    assert not (await reload(database, user)).is_verified


async def refuse(_session: object, _row: object) -> None:
    raise FieldErrors({"": "Refused by a hook."})


async def test_page_undoes_what_a_hook_refuses(
    app: FastAPI, client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "email_is_delivered", lambda _settings: False)
    models: tuple[Any, ...] = (User, Team, TeamMember)
    user, member = await make_user(database), await make_user(database)
    team = await make_team(database, user, {TeamRole.MEMBER: member})
    path, number = f"/teams/{team.id}", await member_id(database, team, member)
    verify, reset = (make_link_token(app.state.settings, purpose, user) for purpose in ("verify", "reset"))
    setup_token = setup.make_setup_link(app.state.settings).partition("token=")[2]
    form = {"email": "eve@example.com", "password": PASSWORD, "display_name": "Eve", "name": "Eve", "role": "admin"}
    before = [await read_all(database, model) for model in models]
    async with signed_in_client(app, user) as browser:
        with temporary_hooks():
            for event, model in product((after_create, after_update, after_delete), models):
                event(model)(refuse)
            for visitor, page, values in (
                *((client, "/accounts/register", {}), (client, "/accounts/setup", {"token": setup_token})),
                *(
                    (client, "/accounts/verify", {"token": verify}),
                    (client, "/accounts/reset-password", {"token": reset}),
                ),
                *((browser, url, {}) for url in ("/accounts/profile", "/teams/new", f"{path}/settings")),
                (browser, f"{path}/hand-over", {"email": member.email, "current_password": PASSWORD}),
                *((browser, f"{path}/members/{number}/{change}", {}) for change in ("role", "remove")),
            ):
                response = await visitor.post(page, data={**form, **values}, follow_redirects=True)
                assert "Refused by a hook." in response.text, page
                assert [await read_all(database, model) for model in models] == before, page
