"""Pages for registration, sign-in and password changes."""

import pytest
from httpx2 import AsyncClient
from pwdlib.hashers.argon2 import Argon2Hasher

from opportune.accounts.models import User
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_token, make_user
from tests.opportune.accounts.conftest import token_status
from tests.opportune.form_tokens import without_tokens
from tests.opportune.stored_rows import read_all, read_one, reload

EMAIL = "ada@example.com"
NEW_PASSWORD = "another good password"
WRONG_MESSAGE = "E-mail or password is wrong."
FOREIGN_PAGE = {"next": "/\t/evil.example"}
either_page = pytest.mark.parametrize("page", ["login", "register"])


@either_page
async def test_form_keeps_values_except_the_password(client: AsyncClient, page: str) -> None:
    next_page = 'name="next" value="/accounts/tokens"'
    form = (await client.get(f"/accounts/{page}?next=/accounts/tokens")).text
    assert next_page in form
    assert 'autocomplete="username' in form
    data = {"email": "<b>@example.com", "password": "Tell-Nobody!", "next": "/accounts/tokens"}
    response = await client.post(f"/accounts/{page}", data=data)
    assert (response.status_code, next_page in response.text, "Tell-Nobody!" in response.text) == (422, True, False)
    assert 'value="&lt;b&gt;@example.com"' in response.text


@pytest.mark.parametrize(
    ("email", "password", "messages"),
    [
        ("ada@", "short", ["Please enter an e-mail address", "Please use at least 8 characters."]),
        (EMAIL, EMAIL, ["too close to your name"]),
    ],
)
async def test_invalid_registration_creates_no_account(
    client: AsyncClient, database: Database, email: str, password: str, messages: list[str]
) -> None:
    response = await client.post("/accounts/register", data={"email": email, "password": password})
    assert response.status_code == 422
    assert all(message in response.text for message in messages)
    assert await read_all(database, User) == []


async def test_wrong_password_and_unknown_email_look_same(client: AsyncClient, database: Database, user: User) -> None:
    await make_user(database, "bob@example.com", is_active=False)
    pages = set()
    wrong = [(EMAIL, "not the password"), (EMAIL, "x" * 5000)]
    for email, password in (*wrong, ("eve@example.com", PASSWORD), ("bob@example.com", PASSWORD)):
        problem = await client.post("/api/v1/auth/login", data={"username": email, "password": password})
        assert (problem.status_code, problem.json()["detail"]) == (401, WRONG_MESSAGE)
        response = await client.post("/accounts/login", data={"email": email, "password": password})
        assert (response.status_code, "set-cookie" in response.headers) == (422, False)
        assert WRONG_MESSAGE in response.text
        pages.add(without_tokens(response.text).replace(email, ""))
    assert len(pages) == 1


@pytest.mark.parametrize(("field", "query"), [(FOREIGN_PAGE, {}), ({}, FOREIGN_PAGE)], ids=["field", "query"])
async def test_sign_in_redirects_to_this_site_only(
    client: AsyncClient, field: dict[str, str], query: dict[str, str]
) -> None:
    for page in ("register", "login"):
        data = {"email": EMAIL, "password": PASSWORD, **field}
        response = await client.post(f"/accounts/{page}", data=data, params=query)
        assert (response.status_code, response.headers["location"]) == (303, "/"), page
        client.cookies.clear()


async def test_registration_signs_in(client: AsyncClient, database: Database) -> None:
    response = await client.post("/accounts/register", data={"email": "Ada@Example.com", "password": PASSWORD})
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert (await read_one(database, User)).email == EMAIL
    assert f"An e-mail was sent to {EMAIL}" in (await client.get("/")).text
    assert EMAIL in (await client.get("/accounts/profile")).text
    client.cookies.clear()
    again = await client.post("/accounts/register", data={"email": EMAIL, "password": PASSWORD})
    assert (again.status_code, "No account was created with this address" in again.text) == (422, True)


async def test_database_refuses_emails_that_differ_in_case(database: Database, user: User) -> None:
    with pytest.raises(Exception, match=r"(?i)unique"):
        await make_user(database, user.email.title())


async def test_new_password_ends_other_sessions_and_tokens(
    user_client: AsyncClient, other_browser: AsyncClient, client: AsyncClient, database: Database, user: User
) -> None:
    token = await make_token(database, user)
    old_cookie = f"session={user_client.cookies['session']}"
    form = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    response = await user_client.post("/accounts/password", data=form)
    assert (response.status_code, response.headers["location"]) == (303, "/accounts/password")
    new_cookie = response.headers["set-cookie"].partition(";")[0]
    for cookie, status in ((new_cookie, 200), (old_cookie, 303)):
        assert (await client.get("/accounts/profile", headers={"Cookie": cookie})).status_code == status
    assert (await other_browser.get("/accounts/profile")).status_code == 303
    assert await token_status(client, token) == 401
    for password, status in ((PASSWORD, 422), (NEW_PASSWORD, 303)):
        response = await client.post("/accounts/login", data={"email": EMAIL, "password": password})
        assert response.status_code == status


async def test_refused_password_change_changes_nothing(
    user_client: AsyncClient, other_browser: AsyncClient, database: Database, user: User
) -> None:
    for form, message in [
        ({"current_password": "not it at all", "new_password": NEW_PASSWORD}, "This is not your current password."),
        ({"current_password": "not it at all", "new_password": "qwerty123"}, "too easy to guess"),
        ({"new_password": EMAIL}, "too close to your name"),
        ({"new_password": NEW_PASSWORD}, "Please enter your current password."),
        # The user has just typed the password.
        ({"current_password": PASSWORD}, "Please fill this in."),
        ({"current_password": PASSWORD, "new_password": EMAIL}, "too close to your name"),
    ]:
        response = await user_client.post("/accounts/password", data=form)
        assert (response.status_code, message in response.text) == (422, True), form
        assert not any(password in response.text for password in form.values() if password != EMAIL)
    assert (await other_browser.get("/accounts/profile")).status_code == 200
    assert (await reload(database, user)).hashed_password == user.hashed_password


async def test_old_hash_is_replaced_at_sign_in(client: AsyncClient, database: Database) -> None:
    old_hash = Argon2Hasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    await make_user(database, EMAIL, hashed_password=old_hash)
    assert (await client.post("/accounts/login", data={"email": EMAIL, "password": PASSWORD})).status_code == 303
    assert (await read_one(database, User)).hashed_password != old_hash
    assert (await client.get("/accounts/profile")).status_code == 200
