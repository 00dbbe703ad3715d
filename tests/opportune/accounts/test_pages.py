"""Pages for registration, sign-in and password changes."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.models import User
from opportune.accounts.tokens.service import create_token
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from opportune.web.rate_limit import TooManyRequests
from tests.opportune.form_tokens import without_tokens

EMAIL = "ada@example.com"
NEW_PASSWORD = "another good password"
WRONG_MESSAGE = "E-mail or password is wrong."


async def read_emails(database: Database) -> list[str]:
    async with database.reader() as session:
        return list(await session.scalars(select(col(User.email))))


async def test_forms_contain_the_next_page(client: AsyncClient) -> None:
    for page in ["login", "register"]:
        response = await client.get(f"/accounts/{page}?next=/accounts/tokens")

        assert response.status_code == 200
        assert 'name="next" value="/accounts/tokens"' in response.text
        assert 'autocomplete="username' in response.text


async def test_refused_form_keeps_values_except_the_password(client: AsyncClient) -> None:
    data = {"email": "<b>@example.com", "password": "Tell-Nobody!", "next": "/accounts/tokens"}

    for page in ("login", "register"):
        response = await client.post(f"/accounts/{page}", data=data)
        assert response.status_code == 422
        assert 'value="&lt;b&gt;@example.com"' in response.text
        assert 'name="next" value="/accounts/tokens"' in response.text
        assert "Tell-Nobody!" not in response.text


async def test_errors_are_beside_their_fields(client: AsyncClient) -> None:
    response = await client.post("/accounts/login", data={"email": "", "password": ""})

    assert response.status_code == 422
    assert response.text.count("Please fill this in.") == 2
    assert 'aria-describedby="password-error"' in response.text

    response = await client.post("/accounts/register", data={"email": "ada@", "password": "short"})

    assert response.status_code == 422
    assert "Please give an e-mail address" in response.text
    assert "Please use at least 8 characters." in response.text


@pytest.mark.language("de")
@pytest.mark.parametrize(
    ("path", "options", "text"),
    [
        ("/accounts/register", {"data": {"email": EMAIL, "password": "kurz"}}, "mindestens 8 Zeichen"),
        ("/accounts/register", {"content": b"a" * 3_000_000}, "Die Anfrage ist zu groß"),
        ("/accounts/register", {"headers": {"Origin": "https://example.org"}}, "von einer anderen Website"),
        ("/limited", {}, "Versuchen Sie es in 2 Stunden erneut."),
    ],
)
async def test_refusals_are_translated(
    app: FastAPI, client: AsyncClient, path: str, options: dict[str, Any], text: str
) -> None:
    @app.post("/limited")
    async def limited() -> None:
        raise TooManyRequests(7200)

    assert text in (await client.post(path, **options)).text


async def test_invalid_registration_creates_no_account(client: AsyncClient, database: Database) -> None:
    for email, password in [("nonsense", PASSWORD), (EMAIL, "short"), (EMAIL, EMAIL)]:
        response = await client.post("/accounts/register", data={"email": email, "password": password})

        assert response.status_code == 422
        assert "invalid-feedback" in response.text
        assert await read_emails(database) == []


async def test_signed_in_user_is_redirected(app: FastAPI) -> None:
    for page in ["login", "register"]:
        async with signed_in_client(app) as client:
            local = await client.get(f"/accounts/{page}?next=/accounts/tokens")
            foreign = await client.get(f"/accounts/{page}?next=//evil.example")

        assert (local.status_code, local.headers["location"]) == (303, "/accounts/tokens")
        assert (foreign.status_code, foreign.headers["location"]) == (303, "/")


async def test_sign_in_ignores_the_case_of_the_email(client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    for typed in [EMAIL, "Ada@Example.COM", f"  {EMAIL} "]:
        response = await client.post(
            "/accounts/login", data={"email": typed, "password": PASSWORD, "next": "/accounts/tokens"}
        )

        assert (response.status_code, response.headers["location"]) == (303, "/accounts/tokens")
        assert EMAIL in (await client.get("/accounts/profile")).text
        client.cookies.clear()


async def test_wrong_password_and_unknown_email_look_the_same(client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    await make_user(database, "bob@example.com", is_active=False)

    attempts = [(EMAIL, "not the password"), ("eve@example.com", PASSWORD), ("bob@example.com", PASSWORD)]
    responses = [
        await client.post("/accounts/login", data={"email": email, "password": password})
        for email, password in attempts
    ]

    assert [response.status_code for response in responses] == [422] * 3
    assert all(WRONG_MESSAGE in response.text and "set-cookie" not in response.headers for response in responses)
    pages = [without_tokens(response.text) for response in responses]
    assert len({page.replace(email, "") for page, (email, _) in zip(pages, attempts, strict=True)}) == 1


async def test_old_hash_is_replaced_at_sign_in(client: AsyncClient, database: Database) -> None:
    old_hash = Argon2Hasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    await make_user(database, EMAIL, hashed_password=old_hash)

    response = await client.post("/accounts/login", data={"email": EMAIL, "password": PASSWORD})

    assert response.status_code == 303
    async with database.reader() as session:
        stored = await session.scalar(select(col(User.hashed_password)))
    assert stored != old_hash
    assert (await client.get("/accounts/profile")).status_code == 200


async def test_sign_in_redirects_to_this_site_only(client: AsyncClient) -> None:
    for page in ("register", "login"):
        for location in ("field", "query"):
            data, query = {"email": f"{location}@example.com", "password": PASSWORD}, dict[str, str]()
            (data if location == "field" else query)["next"] = "/\t/evil.example"

            response = await client.post(f"/accounts/{page}", data=data, params=query)

            assert (response.status_code, response.headers["location"]) == (303, "/"), (page, location)
            client.cookies.clear()


async def test_registration_signs_in_a_plain_user(client: AsyncClient, database: Database) -> None:
    response = await client.post("/accounts/register", data={"email": "Ada@Example.com", "password": PASSWORD})

    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert await read_emails(database) == [EMAIL]
    assert EMAIL in (await client.get("/accounts/profile")).text

    flags = {"is_superuser": "true", "is_verified": "true", "id": "77", "hashed_password": "x"}

    await client.post("/accounts/register", data={"email": EMAIL, "password": PASSWORD, **flags})

    async with database.reader() as session:
        user = (await session.scalars(select(User))).one()
    assert not user.is_superuser
    assert not user.is_verified
    assert user.id != 77


async def test_database_refuses_emails_that_differ_in_case(database: Database) -> None:
    await make_user(database, EMAIL)

    with pytest.raises(Exception, match=r"(?i)unique"):
        await make_user(database, "Ada@example.com")


async def test_new_password_ends_other_sessions_and_tokens(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    user = await make_user(database, EMAIL)
    async with database.writer() as session:
        token = {"Authorization": f"Bearer {await create_token(session, user, 'a', timedelta(hours=1))}"}
    async with signed_in_client(app, user) as browser, signed_in_client(app, user) as other_browser:
        old_cookie = f"session={browser.cookies['session']}"

        form = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        response = await browser.post("/accounts/password", data=form)

        assert (response.status_code, response.headers["location"]) == (303, "/accounts/password")
        new_cookie = response.headers["set-cookie"].partition(";")[0]
        assert (await client.get("/accounts/profile", headers={"Cookie": new_cookie})).status_code == 200
        assert (await client.get("/accounts/profile", headers={"Cookie": old_cookie})).status_code == 303
        assert (await other_browser.get("/accounts/profile")).status_code == 303
    assert (await client.get("/api/v1/users/me", headers=token)).status_code == 401
    for password, status in ((PASSWORD, 422), (NEW_PASSWORD, 303)):
        response = await client.post("/accounts/login", data={"email": EMAIL, "password": password})
        assert response.status_code == status


async def test_refused_password_change_changes_nothing(app: FastAPI, database: Database) -> None:
    user = await make_user(database, EMAIL)
    async with signed_in_client(app, user) as client, signed_in_client(app, user) as other_browser:
        for form, message in [
            ({"current_password": "not it at all", "new_password": NEW_PASSWORD}, "This is not your current password."),
            ({"current_password": "not it at all", "new_password": "qwerty123"}, "too easy to guess"),
            ({"new_password": EMAIL}, "too close to your name"),
            ({"new_password": NEW_PASSWORD}, "Please type your current password."),
            # The user has just typed the password.
            ({"current_password": PASSWORD}, "Please fill this in."),
            ({"current_password": PASSWORD, "new_password": EMAIL}, "too close to your name"),
        ]:
            response = await client.post("/accounts/password", data=form)

            assert response.status_code == 422
            assert message in response.text
            assert not any(password in response.text for name, password in form.items() if password != EMAIL)
        assert (await other_browser.get("/accounts/profile")).status_code == 200
    async with database.reader() as session:
        stored = await session.scalar(select(col(User.hashed_password)))
    assert stored == user.hashed_password
