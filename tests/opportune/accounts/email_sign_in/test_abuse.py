"""Abuse of sign-in by e-mail."""

import asyncio
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from itsdangerous import TimestampSigner
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.email_sign_in import service
from opportune.accounts.management import set_password
from opportune.accounts.models import Session, User
from opportune.accounts.sign_in.service import PASSWORDS_PER_IP
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.testing.factories import make_user
from tests.opportune.accounts.email_sign_in.sign_in_emails import (
    SIGN_IN_API,
    SIGN_IN_PAGE,
    is_signed_in,
    new_browser,
    read_newest_code,
    read_newest_token,
    request_email,
    send_code,
    submit_link,
    wrong_code,
)
from tests.opportune.accounts.sent_emails import EMAIL, NEW_PASSWORD, read_sent_subjects, settings
from tests.opportune.form_tokens import without_tokens

__all__ = ["settings"]  # a fixture


async def count_sessions(database: Database) -> int:
    async with database.reader() as session:
        return await session.scalar(select(func.count()).select_from(Session)) or 0


async def test_opening_the_link_changes_nothing(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    await request_email(client)
    token = await read_newest_token(app)
    async with new_browser(app) as scanner:
        for method in ("GET", "HEAD", "GET"):
            await scanner.request(method, f"{SIGN_IN_PAGE}/link", params={"token": token})
        assert not await is_signed_in(scanner)
    assert await count_sessions(database) == 0
    assert (await submit_link(client, token)).status_code == 303
    assert await is_signed_in(client)


async def test_email_is_valid_once_by_link_or_code(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL, is_verified=True)
    await request_email(client)
    cookies, token, code = dict(client.cookies), await read_newest_token(app), await read_newest_code(app)
    async with new_browser(app) as other_browser:
        assert (await submit_link(other_browser, token)).status_code == 303
        assert (await submit_link(other_browser, token)).status_code == 410
    client.cookies.update(cookies)
    assert (await send_code(client, code)).status_code == 410
    assert not await is_signed_in(client)


async def test_refused_links_and_codes_are_in_the_security_log(
    app: FastAPI, client: AsyncClient, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    user = await make_user(database, EMAIL, is_verified=True)
    await request_email(client)
    token, code = await read_newest_token(app), await read_newest_code(app)
    await send_code(client, wrong_code(code))
    async with new_browser(app) as other_browser:
        await submit_link(other_browser, "guessed")
        await submit_link(other_browser, token)
        await submit_link(other_browser, token)
    lines = [record.getMessage() for record in caplog.records if record.name == "opportune.security"]
    assert [line.partition(" account=")[2] or line.partition(" reason=")[2] for line in lines] == [
        f"{user.id} reason=email_code",
        "email",
        f"{user.id} reason=email",
    ]
    assert not any(secret in caplog.text for secret in (token, code, wrong_code(code), EMAIL))


@pytest.mark.database("postgresql")
async def test_concurrent_uses_of_an_email_sign_in_once(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL, is_verified=True)
    await request_email(client)
    token, code = await read_newest_token(app), await read_newest_code(app)
    async with new_browser(app) as other_browser:
        responses = await asyncio.gather(
            send_code(client, code), submit_link(other_browser, token), submit_link(other_browser, token)
        )
    assert sorted(response.status_code for response in responses) == [303, 410, 410]
    assert await count_sessions(database) == 1


async def test_email_expires_after_ten_minutes(
    app: FastAPI, client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_user(database, EMAIL)
    await request_email(client)
    token, code = await read_newest_token(app), await read_newest_code(app)
    cookies = dict(client.cookies)
    assert service.LIFETIME_SECONDS == 600
    expired_at = int((utc_now() + timedelta(seconds=service.LIFETIME_SECONDS + 1)).timestamp())
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _self: expired_at)
    monkeypatch.setattr("time.time", lambda: expired_at)
    assert (await client.get(f"{SIGN_IN_PAGE}/link", params={"token": token})).status_code == 410
    assert (await submit_link(client, token)).status_code == 410
    client.cookies.update(cookies)  # the client has dropped the expired cookies
    assert (await send_code(client, code)).headers["location"] == SIGN_IN_PAGE
    assert await count_sessions(database) == 0


async def test_code_is_bound_to_its_browser_and_request(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    await make_user(database, "eve@example.com")
    await request_email(client)
    code = await read_newest_code(app)
    async with new_browser(app) as eve_browser:
        assert (await send_code(eve_browser, code)).headers["location"] == SIGN_IN_PAGE
        await request_email(eve_browser, "eve@example.com")
        eve_code = await read_newest_code(app)
        assert "This is not the code" in (await send_code(eve_browser, code)).text
        await request_email(eve_browser)  # for Ada's address, in Eve's browser
        assert "This is not the code" in (await send_code(eve_browser, code)).text
        assert "This is not the code" in (await send_code(eve_browser, eve_code)).text
    assert await count_sessions(database) == 0


async def test_request_ends_after_five_wrong_codes(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    await request_email(client)
    code = await read_newest_code(app)
    cookies = dict(client.cookies)
    wrong_statuses = [(await send_code(client, wrong_code(code))).status_code for _ in range(5)]
    response = await send_code(client, code)
    assert (wrong_statuses, response.headers["location"]) == ([422] * 5, SIGN_IN_PAGE)
    assert "too many wrong codes" in (await client.get(SIGN_IN_PAGE)).text
    client.cookies.update(cookies)  # an attacker keeps the cookie
    assert (await send_code(client, code)).headers["location"] == SIGN_IN_PAGE
    assert await count_sessions(database) == 0


async def test_wrong_codes_of_an_account_are_limited_per_day(
    app: FastAPI, client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert service.CODES_PER_ACCOUNT.limit == 10
    monkeypatch.setattr(service.CODES_PER_ACCOUNT, "limit", 2)
    await make_user(database, EMAIL, is_verified=True)
    await request_email(client)
    await send_code(client, await read_newest_code(app))
    await client.post("/accounts/logout")
    async with new_browser(app) as eve_browser:
        for _ in range(2):
            await request_email(eve_browser)
            await send_code(eve_browser, wrong_code(await read_newest_code(app)))
        await request_email(eve_browser)
        refused = await send_code(eve_browser, await read_newest_code(app))
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 80_000
        assert (await submit_link(eve_browser, await read_newest_token(app))).status_code == 303
    await request_email(client)
    await send_code(client, await read_newest_code(app))
    assert await is_signed_in(client)


async def test_wrong_codes_per_ip_address_are_limited(
    app: FastAPI, client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PASSWORDS_PER_IP.limit == 20
    monkeypatch.setattr(PASSWORDS_PER_IP, "limit", 3)
    await make_user(database, EMAIL)
    for number in range(3):
        await request_email(client, f"user{number}@example.com")
        await send_code(client, "000000")
    await request_email(client)
    assert (await send_code(client, await read_newest_code(app))).status_code == 429


async def test_emails_per_recipient_are_limited(client: AsyncClient) -> None:
    responses = [await request_email(client, "Nobody@example.com") for _ in range(6)]
    assert [response.status_code for response in responses] == [303] * 5 + [429]
    assert (await client.post(SIGN_IN_API, json={"email": "nobody@example.com"})).status_code == 429


async def change_password(session: AsyncSession, user: User) -> None:
    await set_password(session, user.email, NEW_PASSWORD)


async def change_email(_session: AsyncSession, user: User) -> None:
    user.email = f"new-{user.email}"


async def deactivate(_session: AsyncSession, user: User) -> None:
    user.is_active = False


async def delete_user(session: AsyncSession, user: User) -> None:
    await session.delete(user)


async def test_email_is_invalid_after_account_changes(app: FastAPI, client: AsyncClient, database: Database) -> None:
    for change in (change_password, change_email, deactivate, delete_user):
        user = await make_user(database, f"{change.__name__}@example.com")
        requested = await client.post(SIGN_IN_API, json={"email": user.email})
        data = {"request": requested.json()["request"], "code": await read_newest_code(app)}
        await request_email(client, user.email)
        token, code = await read_newest_token(app), await read_newest_code(app)
        async with database.writer() as session:
            await change(session, await session.get_one(User, user.id))
        assert (await submit_link(client, token)).status_code == 410, change
        assert (await client.post(f"{SIGN_IN_API}/code", json=data)).status_code in (401, 410), change
        assert (await send_code(client, code)).status_code in (410, 422), change
    assert (await client.get(f"{SIGN_IN_PAGE}/link", params={"token": token})).status_code == 410
    assert await count_sessions(database) == 0


async def test_responses_do_not_reveal_accounts(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    await make_user(database, "off@example.com", is_active=False)
    page_responses, api_responses = set(), set()
    for email in (EMAIL, "off@example.com", "nobody@example.com"):
        requested = await request_email(client, email)
        page_text = without_tokens((await client.get(requested.headers["location"])).text.replace(email, ""))
        guessed = await send_code(client, "12345x")
        page_responses.add(
            (requested.status_code, page_text, guessed.status_code, without_tokens(guessed.text.replace(email, "")))
        )
        api_response = await client.post(SIGN_IN_API, json={"email": email})
        request = api_response.json()["request"]
        wrong_code_response = await client.post(f"{SIGN_IN_API}/code", json={"request": request, "code": "12345x"})
        api_responses.add(
            (
                api_response.status_code,
                api_response.json()["detail"],
                wrong_code_response.status_code,
                wrong_code_response.json()["detail"],
            )
        )
    assert (len(page_responses), len(api_responses)) == (1, 1)
    assert {to for to, _ in await read_sent_subjects(app)} == {EMAIL}


async def test_redirect_to_another_site_is_ignored(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL)
    for foreign_url in ("https://evil.example/", "/\\evil.example"):
        await request_email(client, next=foreign_url)
        assert (await submit_link(client, await read_newest_token(app))).headers["location"] == "/"
        client.cookies.clear()


async def test_forged_requests_are_refused(client: AsyncClient) -> None:
    for request in ("", "gAAAAA\u00e9", "a" * 3000):
        response = await client.post(f"{SIGN_IN_API}/code", json={"request": request, "code": "123456"})
        assert response.status_code in (410, 422)
    client.cookies.set("email_sign_in", "forged", path="/accounts/login")
    assert (await send_code(client, "123456")).headers["location"] == SIGN_IN_PAGE
    for token in ("", "a.b.c"):
        assert (await submit_link(client, token)).status_code == 410
