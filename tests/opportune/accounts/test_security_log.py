"""Lines of the security log, with client address, account and request id."""

import logging

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.flows import sign_in
from opportune.accounts.models import User
from opportune.testing.factories import PASSWORD
from tests.opportune.accounts.conftest import bearer, new_client, read_security_log

EMAIL = "ada@example.com"
ADDRESS = "203.0.113.9"
WRONG_PASSWORD = "not the password"


async def post(app: FastAPI, path: str, **data: str) -> int:
    async with new_client(app, ADDRESS) as client:
        return (await client.post(path, data=data)).status_code


async def test_refused_sign_in_is_logged(app: FastAPI, user: User, caplog: pytest.LogCaptureFixture) -> None:
    await post(app, "/accounts/login", email=EMAIL, password=WRONG_PASSWORD)
    await post(app, "/api/v1/auth/login", username="nobody@example.com", password=WRONG_PASSWORD)
    refused = f"sign_in_refused address={ADDRESS}"
    assert read_security_log(caplog) == [f"{refused} account={user.id} reason=password", f"{refused} reason=password"]
    assert EMAIL not in caplog.text
    assert WRONG_PASSWORD not in caplog.text


async def test_sign_in_is_logged(app: FastAPI, user: User, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await post(app, "/accounts/login", email=EMAIL, password=PASSWORD)
    assert read_security_log(caplog) == [f"signed_in address={ADDRESS} account={user.id}"]


async def test_reached_limit_is_logged(
    app: FastAPI, user: User, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in.PASSWORDS_PER_ACCOUNT, "limit", 1)
    await post(app, "/accounts/login", email=EMAIL, password=WRONG_PASSWORD)
    assert await post(app, "/accounts/login", email=EMAIL, password=WRONG_PASSWORD) == 429
    assert read_security_log(caplog)[1:] == [f"limit_reached address={ADDRESS} method=POST path=/accounts/login"]


async def test_refusal_is_logged(user_client: AsyncClient, user: User, caplog: pytest.LogCaptureFixture) -> None:
    assert (await user_client.get("/admin/user/list")).status_code == 403
    (line,) = read_security_log(caplog)
    assert f"account={user.id} method=GET path=/admin/user/list" in line
    assert line.startswith("permission_refused address=")


async def test_unknown_token_is_logged_but_not_visitors(client: AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    assert (await client.get("/api/v1/users/me")).status_code == 401
    assert read_security_log(caplog) == []
    await client.get("/api/v1/users/me", headers=bearer("guessed"))
    (line,) = read_security_log(caplog)
    assert line.startswith("token_refused")
    assert "guessed" not in caplog.text


async def test_wrong_proof_is_logged(user_client: AsyncClient, user: User, caplog: pytest.LogCaptureFixture) -> None:
    await user_client.post("/accounts/confirm", data={"current_password": WRONG_PASSWORD})
    (line,) = read_security_log(caplog)
    assert line.endswith(f"account={user.id} reason=confirmation")
