"""Pages and API of a user's second factor."""

import html
import re
import time
from datetime import timedelta
from urllib.parse import quote

import pyotp
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from playwright.async_api import Page
from sqlalchemy import update

from opportune.accounts.flows import two_factor
from opportune.accounts.flows.confirmation import CODES_PER_USER, INVALID_CODE
from opportune.accounts.models import RecoveryCode, Session, User
from opportune.accounts.sign_in_methods import second_factor
from opportune.accounts.sign_in_methods.second_factor import RECOVERY_CODE_COUNT
from opportune.accounts.tokens.service import create_token
from opportune.db import Database, utc_now
from opportune.jobs.models import Job
from opportune.testing.factories import PASSWORD, make_token, make_user, sign_in_browser, signed_in_client
from opportune.testing.services.accessibility import find_violations
from tests.opportune.accounts.conftest import bearer, new_client, token_status
from tests.opportune.stored_rows import read_all, reload

TWO_FACTOR_PAGE = "/accounts/two-factor"
TWO_FACTOR_API = "/api/v1/users/me/two-factor"


def make_code(key: str, periods: int = 0) -> str:
    return pyotp.TOTP(key).at(time.time() + 30 * periods)


def extract_sealed_key(text: str) -> str:
    match = re.search(r'value="([^"]+)"[^>]*name="sealed"', text)
    assert match
    return html.unescape(match[1])


def extract_key(text: str) -> str:
    match = re.search(r"<code[^>]*>([A-Z2-7 ]{30,})</code>", text)
    assert match
    return match[1].replace(" ", "")


def extract_codes(text: str) -> list[str]:
    return re.findall(r"<code[^>]*>([a-z0-9]{4}(?:-[a-z0-9]{4}){3})</code>", text)


async def turn_on_by_pages(client: AsyncClient) -> tuple[str, list[str]]:
    """Turn on the app by the pages. Return its key and the recovery codes. The current code is then used."""
    page = await client.post(TWO_FACTOR_PAGE, data={"password": PASSWORD})
    assert page.headers["cache-control"] == "no-store, no-transform", "the page shows the key"
    started = page.text
    key = extract_key(started)
    form = {"sealed": extract_sealed_key(started), "code": make_code(key)}
    response = await client.post(f"{TWO_FACTOR_PAGE}/confirm", data=form)
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store, no-transform")
    return key, extract_codes(response.text)


async def read_subjects(database: Database, user: User) -> list[str]:
    emails = [job.arguments[0] for job in await read_all(database, Job, name="mail.send")]
    return [email["subject"] for email in emails if email["to"] == user.email]


async def test_setup_needs_password_and_code(
    user_client: AsyncClient, other_browser: AsyncClient, database: Database, user: User
) -> None:
    started = await user_client.post(TWO_FACTOR_PAGE, data={"password": PASSWORD})
    assert (started.status_code, 'src="data:image/svg+xml' in started.text) == (200, True)
    assert not (await reload(database, user)).has_two_factor
    key, codes = await turn_on_by_pages(user_client)
    assert len(set(codes)) == RECOVERY_CODE_COUNT
    assert (await reload(database, user)).has_two_factor
    page = (await user_client.get(TWO_FACTOR_PAGE)).text
    assert "You have 10 recovery codes left" in page
    assert not any(secret in page for secret in (key, *codes))
    assert (await other_browser.get(TWO_FACTOR_PAGE)).status_code == 303, "only the session of the request stays"
    assert await read_subjects(database, user) == ["Two-factor authentication is on"]


async def test_wrong_first_code_turns_nothing_on(user_client: AsyncClient, database: Database, user: User) -> None:
    started = (await user_client.post(TWO_FACTOR_PAGE, data={"password": PASSWORD})).text
    for code, message in (("000", two_factor.WRONG_CODE), ("", "Please fill this in.")):
        form = {"sealed": extract_sealed_key(started), "code": code}
        response = await user_client.post(f"{TWO_FACTOR_PAGE}/confirm", data=form)
        assert (response.status_code, html.escape(message) in response.text) == (422, True)
        assert extract_key(response.text) == extract_key(started)
    assert not (await reload(database, user)).has_two_factor


async def test_foreign_or_old_key_is_refused(app: FastAPI, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    thief = await make_user(database)
    async with signed_in_client(app) as owner, signed_in_client(app, thief) as client:
        started = (await owner.post(TWO_FACTOR_PAGE, data={"password": PASSWORD})).text
        form = {"sealed": extract_sealed_key(started), "code": make_code(extract_key(started))}
        assert (await client.post(f"{TWO_FACTOR_PAGE}/confirm", data=form)).headers["location"] == TWO_FACTOR_PAGE
        monkeypatch.setattr(second_factor, "SETUP_TIMEOUT_SECONDS", -1)
        assert (await owner.post(f"{TWO_FACTOR_PAGE}/confirm", data=form)).headers["location"] == TWO_FACTOR_PAGE
        assert (await owner.put(TWO_FACTOR_API, json=form)).status_code == 409
    assert not (await reload(database, thief)).has_two_factor


async def test_changes_need_password_and_code(user_client: AsyncClient, database: Database, user: User) -> None:
    key, old_codes = await turn_on_by_pages(user_client)
    renewed = await user_client.post(f"{TWO_FACTOR_PAGE}/codes", data={"password": PASSWORD, "code": old_codes[0]})
    new_codes = extract_codes(renewed.text)
    assert len(new_codes) == RECOVERY_CODE_COUNT
    assert set(old_codes).isdisjoint(new_codes)
    refused = await user_client.post(f"{TWO_FACTOR_PAGE}/off", data={"password": PASSWORD, "code": old_codes[1]})
    assert (refused.status_code, INVALID_CODE in refused.text) == (422, True)
    disabled = await user_client.post(f"{TWO_FACTOR_PAGE}/off", data={"password": PASSWORD, "code": make_code(key, 1)})
    assert (disabled.status_code, disabled.headers["location"]) == (303, TWO_FACTOR_PAGE)
    assert "Two-factor authentication is off." in (await user_client.get(TWO_FACTOR_PAGE)).text
    assert not (await reload(database, user)).has_two_factor
    assert await read_all(database, RecoveryCode) == []
    subjects = [f"Two-factor authentication is {state}" for state in ("on", "off")]
    assert await read_subjects(database, user) == subjects


@pytest.mark.parametrize("path", ["codes", "off"])
async def test_password_or_code_alone_is_refused(user_client: AsyncClient, path: str) -> None:
    key, codes = await turn_on_by_pages(user_client)
    for form in (
        {"password": "not it", "code": make_code(key, 1)},
        {"password": PASSWORD, "code": make_code(key, -3)},
        {"password": PASSWORD},
        {"code": codes[0]},
    ):
        response = await user_client.post(f"{TWO_FACTOR_PAGE}/{path}", data=form)
        assert (response.status_code, extract_codes(response.text)) == (422, [])
        assert "not it" not in response.text
    # A request with a wrong password does not use the code.
    form = {"password": PASSWORD, "code": codes[0]}
    assert (await user_client.post(f"{TWO_FACTOR_PAGE}/{path}", data=form)).status_code < 400


async def test_wrong_codes_are_limited(user_client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CODES_PER_USER, "limit", 3)
    key, _ = await turn_on_by_pages(user_client)
    guess, right = {"password": PASSWORD, "code": "000000"}, {"password": PASSWORD, "code": make_code(key, 1)}
    statuses = [(await user_client.post(f"{TWO_FACTOR_PAGE}/off", data=guess)).status_code for _ in range(4)]
    assert statuses == [422, 422, 422, 429]
    limited = await user_client.request("DELETE", TWO_FACTOR_API, json=right)
    assert (limited.status_code, int(limited.headers["retry-after"]) > 0) == (429, True)


async def test_api_manages_the_second_factor(app: FastAPI, database: Database, user: User) -> None:
    async with database.writer() as session:
        _, token = await create_token(session, user, "a program", timedelta(hours=1), ["accounts:manage"])
    async with signed_in_client(app, user) as browser, new_client(app, **bearer(token)) as client:
        assert (await client.get(TWO_FACTOR_API)).json() == {"is_on": False, "recovery_codes_left": 0}
        started = (await client.post(TWO_FACTOR_API, json={"password": PASSWORD})).json()
        assert started["uri"].startswith("otpauth://totp/")
        assert f"issuer={quote(app.state.settings.site_name)}" in started["uri"], "the app shows the name of the site"
        form = {"sealed": started["sealed"], "code": make_code(started["key"])}
        codes = (await client.put(TWO_FACTOR_API, json=form)).json()["recovery_codes"]
        assert (await client.get(TWO_FACTOR_API)).json() == {"is_on": True, "recovery_codes_left": len(codes)}
        assert (await browser.get(TWO_FACTOR_PAGE)).status_code == 303  # its session started without a second factor
        proof = {"password": PASSWORD, "code": codes[0]}
        renewed = (await client.post(f"{TWO_FACTOR_API}/recovery-codes", json=proof)).json()["recovery_codes"]
        assert (await client.request("DELETE", TWO_FACTOR_API, json=proof)).status_code == 422
        proof["code"] = renewed[0]
        assert (await client.request("DELETE", TWO_FACTOR_API, json=proof)).status_code == 204
        assert (await client.get(TWO_FACTOR_API)).json() == {"is_on": False, "recovery_codes_left": 0}


@pytest.mark.parametrize("channel", ["page", "api"])
async def test_setup_ends_sign_ins_without_a_code(
    client: AsyncClient, database: Database, user: User, channel: str, user_client: AsyncClient
) -> None:
    other_tokens = [await make_token(database, user), await make_token(database, await make_user(database))]
    async with database.writer() as session:
        _, backup_token = await create_token(session, user, "Backup", timedelta(days=7))
        other_tokens.append(backup_token)
    own_token = await make_token(database, user)
    if channel == "api":
        user_client.cookies.clear()
        user_client.headers.update(bearer(own_token))
    started = (await user_client.post(TWO_FACTOR_API, json={"password": PASSWORD})).json()
    form = {"sealed": started["sealed"], "code": make_code(started["key"])}
    if channel == "page":
        page = (await user_client.post(f"{TWO_FACTOR_PAGE}/confirm", data=form)).text
        assert "Tokens that you created stay" in page
        assert 'href="/accounts/tokens"' in page
    else:
        assert (await user_client.put(TWO_FACTOR_API, json=form)).status_code == 200
    statuses = [await token_status(client, token) for token in (*other_tokens, own_token)]
    # A page shows the codes to the browser, so it also ends the user's own program.
    assert statuses == [401, 200, 200, 200 if channel == "api" else 401]


async def test_qr_code_is_allowed_by_the_policy(app: FastAPI, page: Page, site: str) -> None:
    await sign_in_browser(page, app, await make_user(app.state.database), site)
    async with app.state.database.writer() as session:  # the password was typed a moment ago
        await session.execute(update(Session).values(confirmed_at=utc_now()))
    await page.goto("/accounts/two-factor")
    await page.get_by_role("button", name="Set up").click()
    assert await page.get_by_alt_text("The key as a QR code").evaluate("image => image.naturalWidth") > 100
    assert not await find_violations(page)
