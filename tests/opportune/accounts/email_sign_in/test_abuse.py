"""What must not let anybody in, nor tell who has an account."""

import asyncio
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from itsdangerous import TimestampSigner
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.email_sign_in import service
from opportune.accounts.management import set_password
from opportune.accounts.models import Session, User
from opportune.accounts.sign_in.service import PASSWORDS_PER_ADDRESS
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.testing.factories import make_user
from tests.opportune.accounts.email_sign_in.asked_emails import (
    API,
    PATH,
    ask,
    browser,
    is_signed_in,
    newest_code,
    newest_token,
    other_code,
    press,
    type_code,
)
from tests.opportune.accounts.sent_emails import EMAIL, NEW, settings, told
from tests.opportune.form_tokens import without_tokens

__all__ = ["settings"]  # a fixture

pytestmark = pytest.mark.database("sqlite")


async def sessions(database: Database) -> int:
    async with database.reader() as session:
        return await session.scalar(select(func.count()).select_from(Session)) or 0


async def test_a_mail_scanner_that_opens_the_link_does_nothing(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    await make_user(database, EMAIL)
    await ask(client)
    token = await newest_token(app)
    async with browser(app) as scanner:
        for method in ("GET", "HEAD", "GET"):
            await scanner.request(method, f"{PATH}/link", params={"token": token})
        assert not await is_signed_in(scanner)
    assert await sessions(database) == 0
    assert (await press(client, token)).status_code == 303
    assert await is_signed_in(client)


async def test_an_email_counts_once_by_link_or_by_code(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL, is_verified=True)
    await ask(client)
    cookies, token, code = dict(client.cookies), await newest_token(app), await newest_code(app)
    async with browser(app) as elsewhere:
        assert (await press(elsewhere, token)).status_code == 303
        assert (await press(elsewhere, token)).status_code == 410
    client.cookies.update(cookies)
    assert (await type_code(client, code)).status_code == 410
    assert not await is_signed_in(client)


async def test_refused_links_and_codes_are_in_the_security_log(
    app: FastAPI, client: AsyncClient, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    user = await make_user(database, EMAIL, is_verified=True)
    await ask(client)
    token, code = await newest_token(app), await newest_code(app)
    await type_code(client, other_code(code))
    async with browser(app) as elsewhere:
        await press(elsewhere, "guessed")
        await press(elsewhere, token)
        await press(elsewhere, token)
    lines = [each.getMessage() for each in caplog.records if each.name == "opportune.security"]
    assert [line.partition(" account=")[2] or line.partition(" reason=")[2] for line in lines] == [
        f"{user.id} reason=email_code",
        "email",
        f"{user.id} reason=email",
    ]
    assert not any(secret in caplog.text for secret in (token, code, other_code(code), EMAIL))


@pytest.mark.database("postgresql")
async def test_of_two_at_once_one_gets_in(app: FastAPI, client: AsyncClient, database: Database) -> None:
    await make_user(database, EMAIL, is_verified=True)
    await ask(client)
    token, code = await newest_token(app), await newest_code(app)
    async with browser(app) as elsewhere:
        answers = await asyncio.gather(type_code(client, code), press(elsewhere, token), press(elsewhere, token))
    assert sorted(answer.status_code for answer in answers) == [303, 410, 410]
    assert await sessions(database) == 1


async def test_email_ends_after_ten_minutes(
    app: FastAPI, client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_user(database, EMAIL)
    await ask(client)
    token, code = await newest_token(app), await newest_code(app)
    cookies = dict(client.cookies)
    assert service.LIFETIME_SECONDS == 600
    late = int((utc_now() + timedelta(seconds=service.LIFETIME_SECONDS + 1)).timestamp())
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _self: late)
    monkeypatch.setattr("time.time", lambda: late)
    assert (await client.get(f"{PATH}/link", params={"token": token})).status_code == 410
    assert (await press(client, token)).status_code == 410
    client.cookies.update(cookies)  # which a browser that keeps the time has forgotten
    assert (await type_code(client, code)).headers["location"] == PATH
    assert await sessions(database) == 0


async def test_a_code_is_good_for_nothing_in_another_browser_nor_for_another_request_and_ends_after_five_wrong_ones(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    await make_user(database, EMAIL)
    await make_user(database, "eve@example.com")
    await ask(client)
    code = await newest_code(app)
    async with browser(app) as eves:
        assert (await type_code(eves, code)).headers["location"] == PATH
        await ask(eves, "eve@example.com")
        own = await newest_code(app)
        assert "This is not the code" in (await type_code(eves, code)).text
        await ask(eves)  # for Ada's address, in Eve's browser
        assert "This is not the code" in (await type_code(eves, code)).text
        assert "This is not the code" in (await type_code(eves, own)).text
    assert await sessions(database) == 0

    await ask(client)
    code = await newest_code(app)
    cookies = dict(client.cookies)
    wrong = [(await type_code(client, other_code(code))).status_code for _ in range(5)]
    ended = await type_code(client, code)
    assert (wrong, ended.headers["location"]) == ([422] * 5, PATH)
    assert "too many wrong codes" in (await client.get(PATH)).text
    client.cookies.update(cookies)  # kept by whoever guesses
    assert (await type_code(client, code)).headers["location"] == PATH
    assert await sessions(database) == 0


async def test_codes_of_an_account_are_guessed_a_few_times_a_day_while_its_link_and_its_owner_s_browser_still_get_in(
    app: FastAPI, client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert service.CODES_PER_ACCOUNT.limit == 10
    monkeypatch.setattr(service.CODES_PER_ACCOUNT, "limit", 2)
    await make_user(database, EMAIL, is_verified=True)
    await ask(client)
    await type_code(client, await newest_code(app))
    await client.post("/accounts/logout")
    async with browser(app) as eves:
        for _ in range(2):
            await ask(eves)
            await type_code(eves, other_code(await newest_code(app)))
        await ask(eves)
        refused = await type_code(eves, await newest_code(app))
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 80_000
        assert (await press(eves, await newest_token(app))).status_code == 303
    await ask(client)
    await type_code(client, await newest_code(app))
    assert await is_signed_in(client)


async def test_an_address_guesses_at_so_many_accounts(
    app: FastAPI, client: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PASSWORDS_PER_ADDRESS.limit == 20
    monkeypatch.setattr(PASSWORDS_PER_ADDRESS, "limit", 3)
    await make_user(database, EMAIL)
    for number in range(3):
        await ask(client, f"user{number}@example.com")
        await type_code(client, "000000")
    await ask(client)
    assert (await type_code(client, await newest_code(app))).status_code == 429


async def test_emails_to_somebody_and_from_an_address_are_few(client: AsyncClient) -> None:
    answers = [await ask(client, "Nobody@example.com") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [303] * 5 + [429]
    assert (await client.post(API, json={"email": "nobody@example.com"})).status_code == 429


async def change_password(session: AsyncSession, user: User) -> None:
    await set_password(session, user.email, NEW)


async def change_email(_session: AsyncSession, user: User) -> None:
    user.email = f"new-{user.email}"


async def deactivate(_session: AsyncSession, user: User) -> None:
    user.is_active = False


async def delete(session: AsyncSession, user: User) -> None:
    await session.delete(user)


async def test_an_email_ends_with_what_it_was_sent_for(app: FastAPI, client: AsyncClient, database: Database) -> None:
    for change in (change_password, change_email, deactivate, delete):
        user = await make_user(database, f"{change.__name__}@example.com")
        asked = await client.post(API, json={"email": user.email})
        given = {"request": asked.json()["request"], "code": await newest_code(app)}
        await ask(client, user.email)
        token, code = await newest_token(app), await newest_code(app)
        async with database.writer() as session:
            await change(session, await session.get_one(User, user.id))
        assert (await press(client, token)).status_code == 410, change
        assert (await client.post(f"{API}/code", json=given)).status_code in (401, 410), change
        assert (await type_code(client, code)).status_code in (410, 422), change
    assert (await client.get(f"{PATH}/link", params={"token": token})).status_code == 410
    assert await sessions(database) == 0


async def test_asking_tells_nobody_who_has_an_account_and_who_is_closed_out_gets_nothing(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    await make_user(database, EMAIL)
    await make_user(database, "off@example.com", is_active=False)
    pages, programs = set(), set()
    for email in (EMAIL, "off@example.com", "nobody@example.com"):
        asked = await ask(client, email)
        shown = without_tokens((await client.get(asked.headers["location"])).text.replace(email, ""))
        guessed = await type_code(client, "12345x")
        pages.add((asked.status_code, shown, guessed.status_code, without_tokens(guessed.text.replace(email, ""))))
        by_program = await client.post(API, json={"email": email})
        request = by_program.json()["request"]
        wrong = await client.post(f"{API}/code", json={"request": request, "code": "12345x"})
        programs.add((by_program.status_code, by_program.json()["detail"], wrong.status_code, wrong.json()["detail"]))
    assert (len(pages), len(programs)) == (1, 1)
    assert {to for to, _ in await told(app)} == {EMAIL}


async def test_next_leads_to_this_site_alone_and_what_is_no_request_of_ours_is_refused_in_a_line(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    await make_user(database, EMAIL)
    for outside in ("https://evil.example/", "/\\evil.example"):
        await ask(client, next=outside)
        assert (await press(client, await newest_token(app))).headers["location"] == "/"
        client.cookies.clear()

    for request in ("", "gAAAAA\u00e9", "a" * 3000):
        answer = await client.post(f"{API}/code", json={"request": request, "code": "123456"})
        assert answer.status_code in (410, 422)
    client.cookies.set("email_sign_in", "none of ours", path="/accounts/login")
    assert (await type_code(client, "123456")).headers["location"] == PATH
    for token in ("", "a.b.c"):
        assert (await press(client, token)).status_code == 410
