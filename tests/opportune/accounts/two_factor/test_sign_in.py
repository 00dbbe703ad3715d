"""Sign-in with a second factor."""

from collections.abc import Awaitable, Callable

import pytest
from httpx2 import AsyncClient, Response

from opportune.accounts import signed_links
from opportune.accounts.flows import sign_in
from opportune.accounts.flows.sign_in import CODES_PER_ACCOUNT
from opportune.accounts.models import Session, User
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user
from opportune.web.rate_limit import Hit, RateLimiter
from tests.opportune.accounts.authenticator_app import AuthenticatorApp, add_authenticator_app
from tests.opportune.accounts.conftest import token_status
from tests.opportune.stored_rows import count, read_one, set_all

EMAIL = "ada@example.com"
LOGIN, CODE, API = "/accounts/login", "/accounts/login/code", "/api/v1/auth/login"


@pytest.fixture
async def authenticator(database: Database, settings: Settings) -> AuthenticatorApp:
    return await add_authenticator_app(database, settings, await make_user(database, EMAIL))


async def send_password(client: AsyncClient, **fields: str) -> Response:
    return await client.post(LOGIN, data={"email": EMAIL, "password": PASSWORD, **fields})


async def send_code(client: AsyncClient, code: str) -> Response:
    return await client.post(CODE, data={"code": code})


async def sign_in_program(client: AsyncClient, code: str = "") -> Response:
    return await client.post(API, data={"username": EMAIL, "password": PASSWORD, "code": code})


async def test_code_signs_in(client: AsyncClient, database: Database, authenticator: AuthenticatorApp) -> None:
    password_response = await send_password(client, next="/accounts/tokens", remember="true")
    assert (password_response.status_code, password_response.headers["location"]) == (303, CODE)
    assert "session=" not in password_response.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax"} <= set(password_response.headers["set-cookie"].split("; "))
    assert (await count(database, Session), (await client.get("/accounts/profile")).status_code) == (0, 303)
    assert 'autocomplete="one-time-code"' in (await client.get(CODE)).text
    code_response = await send_code(client, authenticator.code)
    assert (code_response.status_code, code_response.headers["location"]) == (303, "/accounts/tokens")
    assert "Max-Age=2592000" in code_response.headers["set-cookie"]
    assert (await client.get("/accounts/profile")).status_code == 200
    assert (await client.get(CODE)).headers["location"] == LOGIN  # the first step is no longer valid


async def test_recovery_code_signs_in_once(client: AsyncClient, authenticator: AuthenticatorApp) -> None:
    for status in (303, 422):
        await send_password(client)
        assert (await send_code(client, authenticator.recovery_codes[0])).status_code == status


@pytest.mark.usefixtures("authenticator")
async def test_code_page_needs_the_password(
    client: AsyncClient, database: Database, settings: Settings, authenticator: AuthenticatorApp
) -> None:
    for cookie in ("", "x", signed_links.make_link_token(settings, "reset", await read_one(database, User))):
        client.cookies.set("pending", cookie)
        for response in (await client.get(CODE), await send_code(client, authenticator.code)):
            assert (response.status_code, response.headers["location"]) == (303, LOGIN)
    client.cookies.clear()
    await send_password(client)
    for code in ("000000", "", "x" * 200, "\0"):
        response = await send_code(client, code)
        assert response.status_code == 422, code
    assert await count(database, Session) == 0


@pytest.mark.parametrize("change", [{"hashed_password": "x"}, {"is_active": False}])
async def test_new_password_ends_the_second_step(
    client: AsyncClient, database: Database, authenticator: AuthenticatorApp, change: dict[str, object]
) -> None:
    await send_password(client)
    await set_all(database, User, **change)
    assert (await send_code(client, authenticator.code)).headers["location"] == LOGIN
    assert await count(database, Session) == 0


async def test_wrong_codes_are_limited(client: AsyncClient, authenticator: AuthenticatorApp) -> None:
    channels: list[Callable[[AsyncClient, str], Awaitable[Response]]] = [send_code, sign_in_program]
    await send_password(client)
    responses = [await channels[number % 2](client, "000000") for number in range(5)]
    assert [response.status_code for response in responses] == [422, 401] * 2 + [422]
    for send in channels:
        response = await send(client, authenticator.code)
        assert (response.status_code, "retry-after" in response.headers) == (429, True)


async def test_api_takes_the_code_with_the_password(client: AsyncClient, authenticator: AuthenticatorApp) -> None:
    without_code, wrong_code = await sign_in_program(client), await sign_in_program(client, "000000")
    assert (without_code.status_code, without_code.json()["detail"][:13]) == (401, "Also send a `")
    assert (wrong_code.status_code, wrong_code.json()["detail"][:18]) == (401, "This code is wrong")
    accepted = await sign_in_program(client, authenticator.code)
    assert await token_status(client, accepted.json()["access_token"]) == 200


async def test_password_changed_before_the_code_is_refused(
    client: AsyncClient, database: Database, authenticator: AuthenticatorApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    original_hit = RateLimiter.hit

    async def hit_and_change_password(limiter: RateLimiter, *hits: Hit) -> None:
        await original_hit(limiter, *hits)
        if hits[0].rate_limit is CODES_PER_ACCOUNT:
            await set_all(database, User, hashed_password="x")

    monkeypatch.setattr(RateLimiter, "hit", hit_and_change_password)
    assert (await sign_in_program(client, authenticator.code)).status_code == 401


@pytest.mark.usefixtures("authenticator")
async def test_missing_code_is_not_counted(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in (CODES_PER_ACCOUNT, sign_in.PASSWORDS_PER_ACCOUNT, sign_in.PASSWORDS_PER_IP):
        monkeypatch.setattr(limit, "limit", 2)
    assert {(await sign_in_program(client)).status_code for _ in range(4)} == {401}
