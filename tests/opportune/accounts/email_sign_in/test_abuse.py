"""Abuse of sign-in by e-mail."""

import asyncio
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.flows import email_sign_in
from opportune.accounts.flows.sign_in import PASSWORDS_PER_IP
from opportune.accounts.models import Session, User
from opportune.db import Database, utc_now
from opportune.testing.factories import make_user
from tests.opportune.accounts.conftest import is_signed_in, read_security_log
from tests.opportune.accounts.email_sign_in import sign_in_emails as emails
from tests.opportune.accounts.sent_emails import EMAIL, read_sent_subjects, settings
from tests.opportune.form_tokens import without_tokens
from tests.opportune.stored_rows import count, delete_row, set_all

__all__ = ["settings"]  # a fixture
pytestmark = pytest.mark.usefixtures("user")


@pytest.fixture
async def user(database: Database) -> User:
    return await make_user(database, EMAIL, is_verified=True)


async def test_opening_link_changes_nothing(app: FastAPI, client: AsyncClient, database: Database) -> None:
    token, _ = await emails.request_and_read(app, client)
    async with emails.new_browser(app) as scanner:
        for method in ("GET", "HEAD", "GET"):
            await scanner.request(method, f"{emails.SIGN_IN_PAGE}/link", params={"token": token})
        assert not await is_signed_in(scanner)
    assert await count(database, Session) == 0
    assert (await emails.submit_link(client, token)).status_code == 303
    assert await is_signed_in(client)


async def test_email_is_valid_once_by_link_or_code(app: FastAPI, client: AsyncClient) -> None:
    token, code = await emails.request_and_read(app, client)
    cookies = dict(client.cookies)
    async with emails.new_browser(app) as other_browser:
        assert (await emails.submit_link(other_browser, token)).status_code == 303
        assert (await emails.submit_link(other_browser, token)).status_code == 410
    client.cookies.update(cookies)
    assert (await emails.send_code(client, code)).status_code == 410
    assert not await is_signed_in(client)


async def test_refused_links_and_codes_are_in_the_security_log(
    app: FastAPI, client: AsyncClient, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    token, code = await emails.request_and_read(app, client)
    await emails.send_code(client, emails.wrong_code(code))
    async with emails.new_browser(app) as other_browser:
        for text in ("guessed", token, token):
            await emails.submit_link(other_browser, text)
    logged = [line.partition(" account=")[2] or line.partition(" reason=")[2] for line in read_security_log(caplog)]
    assert logged == [f"{user.id} reason=email_code", "email", f"{user.id} reason=email"]
    assert not any(secret in caplog.text for secret in (token, code, emails.wrong_code(code), EMAIL))


@pytest.mark.database("postgresql")
async def test_concurrent_uses_of_an_email_sign_in_once(app: FastAPI, client: AsyncClient, database: Database) -> None:
    token, code = await emails.request_and_read(app, client)
    async with emails.new_browser(app) as other_browser:
        clicks = (emails.submit_link(other_browser, token) for _ in range(2))
        responses = await asyncio.gather(emails.send_code(client, code), *clicks)
    assert sorted(response.status_code for response in responses) == [303, 410, 410]
    assert await count(database, Session) == 1


async def test_email_expires_in_ten_minutes(app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    token, code = await emails.request_and_read(app, client)
    cookies = dict(client.cookies)
    assert email_sign_in.LIFETIME_SECONDS == 600
    expired_at = int((utc_now() + timedelta(seconds=email_sign_in.LIFETIME_SECONDS + 1)).timestamp())
    monkeypatch.setattr("time.time", lambda: expired_at)
    assert (await client.get(f"{emails.SIGN_IN_PAGE}/link", params={"token": token})).status_code == 410
    assert (await emails.submit_link(client, token)).status_code == 410
    client.cookies.update(cookies)  # the client has dropped the expired cookies
    assert (await emails.send_code(client, code)).headers["location"] == emails.SIGN_IN_PAGE
    assert await count(app, Session) == 0


async def test_code_is_bound_to_its_browser_and_request(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, "eve@example.com")
    _, code = await emails.request_and_read(app, client)
    async with emails.new_browser(app) as eve_browser:
        assert (await emails.send_code(eve_browser, code)).headers["location"] == emails.SIGN_IN_PAGE
        _, eve_code = await emails.request_and_read(app, eve_browser, "eve@example.com")
        assert "This is not the code" in (await emails.send_code(eve_browser, code)).text
        await emails.request_email(eve_browser)  # for Ada's address, in Eve's browser
        assert "This is not the code" in (await emails.send_code(eve_browser, code)).text
        assert "This is not the code" in (await emails.send_code(eve_browser, eve_code)).text
    assert await count(database, Session) == 0


async def test_request_ends_after_five_wrong_codes(app: FastAPI, client: AsyncClient, database: Database) -> None:
    token, code = await emails.request_and_read(app, client)
    cookies = dict(client.cookies)
    wrong_statuses = [(await emails.send_code(client, emails.wrong_code(code))).status_code for _ in range(5)]
    response = await emails.send_code(client, code)
    assert (wrong_statuses, response.headers["location"]) == ([422] * 5, f"{emails.SIGN_IN_PAGE}?next=%2F")
    assert "too many wrong codes" in (await client.get(emails.SIGN_IN_PAGE)).text
    client.cookies.update(cookies)  # an attacker keeps the cookie
    assert (await emails.send_code(client, code)).headers["location"] == response.headers["location"]
    assert (await emails.submit_link(client, token)).status_code == 410
    assert await count(database, Session) == 0


async def test_codes_are_limited_per_day(app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert email_sign_in.CODES_PER_ACCOUNT.limit == 10
    monkeypatch.setattr(email_sign_in.CODES_PER_ACCOUNT, "limit", 2)
    await emails.send_code(client, (await emails.request_and_read(app, client))[1])
    await client.post("/accounts/logout")
    async with emails.new_browser(app) as eve_browser:
        for _ in range(2):
            await emails.send_code(eve_browser, emails.wrong_code((await emails.request_and_read(app, eve_browser))[1]))
        token, code = await emails.request_and_read(app, eve_browser)
        refused = await emails.send_code(eve_browser, code)
        assert (refused.status_code, int(refused.headers["retry-after"]) > 80_000) == (429, True)
        assert (await emails.submit_link(eve_browser, token)).status_code == 303
    await emails.send_code(client, (await emails.request_and_read(app, client))[1])
    assert await is_signed_in(client), "the trusted browser is not locked out"


async def test_codes_per_ip_are_limited(app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PASSWORDS_PER_IP.limit == 20
    monkeypatch.setattr(PASSWORDS_PER_IP, "limit", 3)
    for number in range(3):
        await emails.request_email(client, f"user{number}@example.com")
        await emails.send_code(client, "000000")
    assert (await emails.send_code(client, (await emails.request_and_read(app, client))[1])).status_code == 429


@pytest.mark.parametrize("changes", [{"is_active": False}, {"hashed_password": "x"}, None])
async def test_email_is_invalid_after_account_changes(
    app: FastAPI, client: AsyncClient, database: Database, user: User, changes: dict[str, object] | None
) -> None:
    requested = await client.post(emails.SIGN_IN_API, json={"email": user.email})
    data = {"request": requested.json()["request"], "code": await emails.read_newest_code(app)}
    token, code = await emails.request_and_read(app, client)
    if changes:
        await set_all(database, User, **changes)
    else:
        await delete_row(database, user)
    assert (await client.get(f"{emails.SIGN_IN_PAGE}/link", params={"token": token})).status_code == 410
    assert (await emails.submit_link(client, token)).status_code == 410
    assert (await client.post(f"{emails.SIGN_IN_API}/code", json=data)).status_code in (401, 410)
    assert (await emails.send_code(client, code)).status_code in (410, 422)
    assert await count(database, Session) == 0


async def test_responses_reveal_no_accounts(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, "off@example.com", is_active=False)
    page_responses, api_responses = set(), set()
    for email in (EMAIL, "off@example.com", "nobody@example.com"):
        requested = await emails.request_email(client, email)
        code_page, guessed = await client.get(requested.headers["location"]), await emails.send_code(client, "12345x")
        texts = (without_tokens(page.text.replace("<wbr>", "").replace(email, "")) for page in (code_page, guessed))
        page_responses.add((requested.status_code, guessed.status_code, *texts))
        accepted = await client.post(emails.SIGN_IN_API, json={"email": email})
        data = {"request": accepted.json()["request"], "code": "12345x"}
        refused = await client.post(f"{emails.SIGN_IN_API}/code", json=data)
        details = (response.json()["detail"] for response in (accepted, refused))
        api_responses.add((accepted.status_code, refused.status_code, *details))
    assert (len(page_responses), len(api_responses)) == (1, 1)
    assert {to for to, _ in await read_sent_subjects(app)} == {EMAIL}


async def test_forged_requests_are_refused(client: AsyncClient) -> None:
    for request in ("", "gAAAAA\u00e9", "a" * 3000):
        response = await client.post(f"{emails.SIGN_IN_API}/code", json={"request": request, "code": "123456"})
        assert response.status_code in (410, 422)
    client.cookies.set("email_sign_in", "forged", path="/accounts/login")
    assert (await emails.send_code(client, "123456")).headers["location"] == emails.SIGN_IN_PAGE
    for token in ("", "a.b.c"):
        assert (await emails.submit_link(client, token)).status_code == 410
