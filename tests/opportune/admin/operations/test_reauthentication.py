"""Operations need a superuser who has just confirmed the password."""

import pyotp
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import update

from opportune.accounts.flows.confirmation import CONFIRMED_FOR, PASSWORDS_PER_USER
from opportune.accounts.models import Session, User
from opportune.config.settings import Settings
from opportune.config.signing import seal
from opportune.db.models.model import utc_now
from opportune.testing.factories import PASSWORD, signed_in_client
from tests.opportune.admin.operations.pages import CHANGE_PATHS, CONFIRM, PAGE, READ_PATHS, read_entries
from tests.opportune.stored_rows import execute, make_staff


def is_confirmation(location: str) -> bool:
    return location.startswith(f"{CONFIRM}?next=/admin/operations")


async def test_operations_refuse_staff_with_all_permissions(app: FastAPI, client: AsyncClient) -> None:
    async with signed_in_client(app, await make_staff(app, "*.*")) as browser:
        for path in READ_PATHS:
            assert (await browser.get(path)).status_code == 403, path
            assert (await client.get(path)).status_code == 303, path
        for path in (*CHANGE_PATHS, "/admin/cache"):
            assert (await browser.post(path, data={"current_password": PASSWORD})).status_code == 403, path
    assert await read_entries(app) == []


async def test_operations_need_a_confirmed_password(app: FastAPI, admin: AsyncClient) -> None:
    for path in READ_PATHS:
        response = await admin.get(path)
        assert (response.status_code, response.headers["location"]) == (303, f"{CONFIRM}?next={path}")
    for path in CHANGE_PATHS:
        response = await admin.post(path)
        assert is_confirmation(response.headers["location"]), path
    assert "Nothing was changed yet" in (await admin.get(CONFIRM)).text
    assert await read_entries(app) == []


async def test_confirmation_redirects_back_and_expires(app: FastAPI, admin: AsyncClient) -> None:
    for next_url, location in ((READ_PATHS[1], READ_PATHS[1]), ("//evil.example", "/"), ("https://evil.example", "/")):
        response = await admin.post(f"{CONFIRM}?next={next_url}", data={"current_password": PASSWORD})
        assert (response.status_code, response.headers["location"]) == (303, location)
    assert (await admin.get(PAGE)).status_code == 200
    await execute(app, update(Session).values(confirmed_at=utc_now() - CONFIRMED_FOR))
    assert is_confirmation((await admin.get(PAGE)).headers["location"])


async def test_wrong_passwords_are_limited(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PASSWORDS_PER_USER, "limit", 2)
    for password in ("wrong", PASSWORD.upper()):
        response = await admin.post(CONFIRM, data={"current_password": password})
        assert response.status_code == 422
        assert "This is not your current password." in response.text
    assert "Please type your current password." in (await admin.post(CONFIRM)).text
    response = await admin.post(CONFIRM, data={"current_password": PASSWORD})
    assert response.status_code == 429
    assert "Try again in" in response.text
    assert (await admin.get(PAGE)).status_code == 303


async def test_confirmation_is_only_for_this_browser(app: FastAPI, operator: AsyncClient, superuser: User) -> None:
    async with signed_in_client(app, superuser) as new_session:
        assert (await new_session.get(PAGE)).status_code == 303

    for path in CHANGE_PATHS:
        assert (await operator.post(path, headers={"origin": "https://evil.example"})).status_code == 403, path
    assert await read_entries(app) == []


async def test_confirmation_needs_the_second_factor(
    app: FastAPI, admin: AsyncClient, superuser: User, settings: Settings
) -> None:
    key = pyotp.random_base32()
    await execute(app, update(User).values(totp_secret=seal(settings, f"two-factor:{superuser.id}", key)))
    assert 'name="code"' in (await admin.get(CONFIRM)).text
    for code in ("", "000000"):
        response = await admin.post(CONFIRM, data={"current_password": PASSWORD, "code": code})
        assert "This code is wrong" in response.text
    response = await admin.post(CONFIRM, data={"current_password": PASSWORD, "code": pyotp.TOTP(key).now()})
    assert response.status_code == 303
    assert (await admin.get(PAGE)).status_code == 200
