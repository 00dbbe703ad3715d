"""What takes an e-mail, on a site whose e-mails arrive."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlalchemy import select, update
from sqlmodel import col

from opportune.accounts import emails, passwords, signed_links
from opportune.accounts.context import AccountContext
from opportune.accounts.models import User
from opportune.accounts.password_reset.emails import send_password_reset_email
from opportune.accounts.profile import service as profile
from opportune.accounts.profile.service import change_password
from opportune.accounts.registration import service as registration
from opportune.accounts.registration.emails import send_registration_email
from opportune.accounts.verification import service as verification
from opportune.db.database import Database
from opportune.mail import InvalidEmailError
from opportune.settings import Settings
from opportune.testing.factories import PASSWORD, make_token, make_user, signed_in_client
from opportune.testing.plugin import settings_for
from opportune.web.client import Client
from tests.opportune.accounts import sent_emails
from tests.opportune.accounts.sent_emails import newest_link, with_mail

EMAIL = "ada@example.com"
NEW = "another good password"
ACCOUNTS, AUTH = "/accounts", "/api/v1/auth"
ME = "/api/v1/users/me"

on_sqlite = pytest.mark.database("sqlite")


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return with_mail(settings_for(database_url), tmp_path / "mail")


async def users(database: Database) -> list[tuple[str, bool]]:
    async with database.reader() as session:
        return [(user.email, user.is_verified) for user in await session.scalars(select(User))]


async def told(app: FastAPI) -> list[tuple[str, str]]:
    return [(email["To"], email["Subject"]) for email in await sent_emails.sent_emails(app)]


async def enter(client: AsyncClient, password: str = PASSWORD) -> int:
    data = {"username": EMAIL, "password": password}
    return (await client.post(f"{AUTH}/login", data=data)).status_code


async def register(client: AsyncClient, email: str = EMAIL, password: str = PASSWORD) -> Response:
    return await client.post(f"{ACCOUNTS}/register", data={"email": email, "password": password})


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
async def test_a_link_registers_once(app: FastAPI, client: AsyncClient, database: Database) -> None:
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
async def test_guesses_at_the_password_of_a_registration_end(app: FastAPI, client: AsyncClient) -> None:
    await register(client)
    path, token = await newest_link(app)
    codes = [(await client.post(path, data={"token": token, "password": "guess"})).status_code for _ in range(21)]
    assert (codes[:20], codes[20]) == ([422] * 20, 429)


@on_sqlite
async def test_taken_and_free_addresses_take_the_same_work(
    client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_user(database, EMAIL)
    done: list[str] = []
    hashed = passwords.hash_password

    async def note(password: str) -> str:
        done.append("hash")
        return await hashed(password)

    monkeypatch.setattr(passwords, "hash_password", note)
    for module in (registration, emails):
        monkeypatch.setattr(module, "defer", lambda _session, call: done.append(call.job.name))

    for email in (EMAIL, "bob@example.com"):
        await register(client, email)
        await client.post(f"{ACCOUNTS}/forgot-password", data={"email": email})

    assert done == ["hash", send_registration_email.name, send_password_reset_email.name] * 2


@on_sqlite
async def test_a_weak_password_is_refused_before_any_email(app: FastAPI, client: AsyncClient) -> None:
    answer = await register(client, password="password")

    assert answer.status_code == 422
    assert "Many people use this password" in answer.text
    assert await told(app) == []


async def reset(client: AsyncClient, way: str, token: str, password: str) -> int:
    given = {"token": token, "password": password}
    if way == "page":
        return (await client.post(f"{ACCOUNTS}/reset-password", data=given)).status_code
    return (await client.post(f"{AUTH}/reset-password", json=given)).status_code


@pytest.mark.parametrize("way", ["page", "api"])
async def test_a_forgotten_password_is_replaced_once_by_a_link_of_an_hour(
    app: FastAPI, client: AsyncClient, database: Database, way: str
) -> None:
    user = await make_user(database, EMAIL)
    bearer = {"Authorization": f"Bearer {await make_token(database, user)}"}
    async with signed_in_client(app, user) as browser:
        await client.post(f"{ACCOUNTS}/forgot-password", data={"email": "Ada@Example.com"})
        path, token = await newest_link(app)
        page = await client.get(path, params={"token": token})
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["cache-control"] == "no-store, no-transform"
        assert "content-encoding" not in page.headers
        statuses = [await reset(client, way, token, password) for password in ("password", NEW)]
        told_so = "You have a new password." in (await client.get(f"{ACCOUNTS}/login")).text

        assert (statuses, told_so) == ([422, 303 if way == "page" else 200], way == "page")
        assert await reset(client, way, token, NEW) == 410
        assert (await client.get(path, params={"token": token})).status_code == 410
        assert (await browser.get("/accounts/profile")).status_code == 303
    assert (await client.get(ME, headers=bearer)).status_code == 401
    assert (await enter(client), await enter(client, NEW)) == (401, 200)
    assert await users(database) == [(EMAIL, True)]  # the link has come by mail
    assert (await told(app))[-1] == (EMAIL, "You have a new password")


@on_sqlite
async def test_asking_for_an_email_tells_nobody_who_has_an_account(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    await make_user(database, EMAIL)
    await make_user(database, "off@example.com", is_active=False)
    await make_user(database, "done@example.com", is_verified=True)

    for page, program, subject in (
        ("forgot-password", "forgot-password", "Choose a new password"),
        ("verify/again", "verify-request", "Verify your address"),
    ):
        for email in (EMAIL, "off@example.com", "nobody@example.com"):
            by_page = await client.post(f"{ACCOUNTS}/{page}", data={"email": email})
            by_program = await client.post(f"{AUTH}/{program}", json={"email": email})
            assert (by_page.status_code, "Check your mail" in by_page.text) == (200, True)
            assert (by_program.status_code, by_program.json()["detail"][:23]) == (202, "If this address is righ")
        assert (await told(app))[-2:] == [(EMAIL, subject)] * 2
    await client.post(f"{ACCOUNTS}/verify/again", data={"email": "done@example.com"})
    assert len(await told(app)) == 4


@on_sqlite
async def test_an_address_is_verified_once_and_by_a_button(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    await make_user(database, EMAIL)
    await client.post(f"{ACCOUNTS}/verify/again", data={"email": EMAIL})
    path, token = await newest_link(app)

    assert (await client.get(path, params={"token": token})).status_code == 200
    assert await users(database) == [(EMAIL, False)]
    assert (await client.post(path, data={"token": token, "password": PASSWORD})).status_code == 303
    assert await users(database) == [(EMAIL, True)]
    assert (await client.post(path, data={"token": token, "password": PASSWORD})).status_code == 410


@on_sqlite
async def test_who_gets_an_email_does_not_prove_the_address_of_an_account_that_somebody_else_made_for_it(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    await make_user(database, EMAIL)  # by staff, say, who know its password and ask for the e-mail
    await client.post(f"{ACCOUNTS}/verify/again", data={"email": EMAIL})
    path, token = await newest_link(app)

    for given in ({}, {"password": "a password of my own"}):
        assert (await client.post(path, data={"token": token, **given})).status_code == 422
        assert (await client.post(f"{AUTH}/verify", json={"token": token, **given})).status_code == 422
    assert await users(database) == [(EMAIL, False)]

    await client.post(f"{ACCOUNTS}/forgot-password", data={"email": EMAIL})
    _, token = await newest_link(app)
    assert await reset(client, "page", token, NEW) == 303
    assert await users(database) == [(EMAIL, True)]
    assert (await enter(client), await enter(client, NEW)) == (401, 200), "the other one is out"


@on_sqlite
async def test_links_lead_to_the_site_whatever_a_request_calls_it(app: FastAPI, client: AsyncClient) -> None:
    headers = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    await client.post(f"{ACCOUNTS}/register", data={"email": EMAIL, "password": PASSWORD}, headers=headers)
    evil = await client.post(f"{ACCOUNTS}/register", data={"email": EMAIL}, headers={"Host": "evil.example"})

    assert evil.status_code == 400
    assert "evil" not in str((await sent_emails.sent_emails(app))[0])


@on_sqlite
async def test_nobody_fills_a_strangers_mailbox(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    for email in (EMAIL, "nobody@example.com"):
        answers = [await client.post(f"{ACCOUNTS}/forgot-password", data={"email": email}) for _ in range(6)]

        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert "Try again in 60 minutes" in answers[-1].text
    assert len(await told(app)) == 5


@on_sqlite
async def test_an_address_asks_for_twenty_emails_and_then_waits(client: AsyncClient) -> None:
    pages = ("register", "forgot-password", "verify/again")
    answers = [
        await client.post(
            f"{ACCOUNTS}/{pages[number % 3]}", data={"email": f"user{number}@example.com", "password": PASSWORD}
        )
        for number in range(23)
    ]

    assert [answer.status_code for answer in answers] == [200] * 20 + [429] * 3
    assert all("retry-after" in answer.headers for answer in answers[20:])


@on_sqlite
async def test_a_broken_link_says_so(client: AsyncClient) -> None:
    for page in ("verify", "reset-password"):
        for token in ("x", "a.b.c", "\0", "ü" * 100, "<script>"):
            shown = await client.get(f"{ACCOUNTS}/{page}", params={"token": token})
            sent = await client.post(f"{ACCOUNTS}/{page}", data={"token": token, "password": PASSWORD})

            assert shown.status_code == 410, (page, token)
            assert sent.status_code in (410, 422), (page, token)
            assert "<script>" not in shown.text + sent.text


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


@on_sqlite
async def test_a_link_proves_no_address_that_came_in_the_meantime(database: Database, settings: Settings) -> None:
    user = await make_user(database, EMAIL)
    token = signed_links.make_link_token(settings, "verify", user)
    async with database.writer() as session, database.reader() as earlier:
        found = await signed_links.read_link_token(earlier, settings, "verify", token)
        assert found
        await session.execute(update(User).values(email="bob@example.com"))
        assert await verification._verify_now(session, found[0]) is None

    assert await users(database) == [("bob@example.com", False)]


async def test_a_new_password_and_the_email_about_it_are_stored_together_or_not_at_all(
    app: FastAPI, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (await make_user(database, EMAIL)).hashed_password

    def fail(*_given: object, **_context: object) -> None:
        raise InvalidEmailError("The disk is full.")

    async def change() -> None:
        async with database.writer() as session:
            user = (await session.scalars(select(User))).one()
            context = AccountContext(session, app.state.settings, app.state.rate_limiter, Client())
            await change_password(context, user, NEW)

    monkeypatch.setattr(profile, "send_account_email", fail)
    with pytest.raises(InvalidEmailError):
        await change()

    async with database.reader() as session:
        assert await session.scalar(select(col(User.hashed_password))) == before
