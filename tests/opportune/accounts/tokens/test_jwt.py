"""JWTs of a site with BEARER=jwt: short-lived, refreshable, and bound to a row of the database."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from opportune.accounts.models import ApiToken, User
from opportune.config import Settings, derived_key
from opportune.db import Database, utc_now
from opportune.testing import PASSWORD, RecordedJobs, make_token, make_user
from opportune.testing.plugin import settings_for
from tests.opportune.accounts.conftest import bearer, token_status
from tests.opportune.stored_rows import change, delete_row, set_all

LOGIN, REFRESH, LOGOUT, ME = (f"/api/v1/{path}" for path in ("auth/login", "auth/refresh", "auth/logout", "users/me"))


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return settings_for(database_url).model_copy(update={"bearer": "jwt", "jwt_minutes": 5})


@pytest.fixture
async def user(database: Database) -> User:
    return await make_user(database, "ada@example.com", is_verified=True)


async def login(client: AsyncClient, user: User, **fields: str) -> dict[str, Any]:
    response = await client.post(LOGIN, data={"username": user.email, "password": PASSWORD, **fields})
    assert response.status_code == 200, response.text
    granted: dict[str, Any] = response.json()
    return granted


async def refresh(client: AsyncClient, token: str) -> Any:
    return await client.post(REFRESH, json={"refresh_token": token})


async def test_sign_in_returns_a_short_lived_jwt(client: AsyncClient, user: User, database: Database) -> None:
    granted = await login(client, user)
    claims = jwt.decode(granted["access_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["exp"] - claims["iat"], granted["expires_in"]) == (str(user.id), 300, 300)
    assert await token_status(client, granted["access_token"]) == 200
    assert await token_status(client, granted["refresh_token"]) == 401, "a refresh token is no access token"
    assert await token_status(client, await make_token(database, user)) == 200


async def test_jwt_of_a_faster_clock_is_valid(client: AsyncClient, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("opportune.accounts.tokens.jwt_strategy.utc_now", lambda: utc_now() + timedelta(seconds=30))
        granted = await login(client, user)
    assert await token_status(client, granted["access_token"]) == 200


async def test_refreshed_jwt_keeps_its_scope(client: AsyncClient, user: User) -> None:
    granted = await login(client, user, scope="accounts:read")
    for tokens in (granted, (await refresh(client, granted["refresh_token"])).json()):
        claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
        assert (claims["scope"], tokens["scope"]) == ("accounts:read", "accounts:read")
        assert await token_status(client, tokens["access_token"]) == 200
        sessions = await client.get(f"{ME}/sessions", headers=bearer(tokens["access_token"]))
        assert sessions.status_code == 403


async def test_signing_out_ends_one_jwt(client: AsyncClient, user: User) -> None:
    ended_token = (await login(client, user))["access_token"]
    await client.post(LOGOUT, headers=bearer(ended_token))
    new_token = (await login(client, user))["access_token"]
    assert await token_status(client, ended_token) == 401
    await client.post(LOGOUT, headers=bearer(ended_token))
    assert await token_status(client, new_token) == 200


async def test_forged_jwts_are_refused(client: AsyncClient, user: User, settings: Settings) -> None:
    valid_jwt = (await login(client, user))["access_token"]
    claims = jwt.decode(valid_jwt, options={"verify_signature": False})
    key = derived_key(settings, "accounts: jwt")

    def make_jwt(key: str = key, algorithm: str = "HS256", **changes: Any) -> str:
        payload = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return jwt.encode(payload, key, algorithm)

    assert await token_status(client, make_jwt()) == 200
    forged_tokens = [
        *(make_jwt("another key that is long enough for it"), make_jwt("", "none"), make_jwt(algorithm="HS512")),
        *(make_jwt(aud=audience) for audience in ("fastapi-users:auth", None)),
        *(make_jwt(exp=end) for end in (None, utc_now() - timedelta(seconds=1))),
        *(make_jwt(sid=row_id) for row_id in (None, "1", True if claims["sid"] != 1 else 2, 2**70)),
        *(make_jwt(sub="999"), make_jwt(sub="²"), f"{valid_jwt}x", valid_jwt.rpartition(".")[0] + ".", "a.b.c"),
    ]
    assert [await token_status(client, token) for token in forged_tokens] == [401] * len(forged_tokens)


async def test_forged_refresh_tokens_are_refused(client: AsyncClient, user: User) -> None:
    ended = await login(client, user)
    await client.post(LOGOUT, headers=bearer(ended["access_token"]))
    granted = await login(client, user)  # SQLite reuses the id of the deleted row
    refresh_token = granted["refresh_token"]
    forged = refresh_token[:-4] + ("AAAA" if refresh_token[-4:] != "AAAA" else "BBBB")
    for invalid_token in ("", "x", "ü", granted["access_token"][:200], forged, ended["refresh_token"]):
        assert (await refresh(client, invalid_token)).status_code == 401
    assert (await refresh(client, refresh_token)).status_code == 200


async def test_jwt_ends_with_password_rights_and_account(client: AsyncClient, database: Database, user: User) -> None:
    all_changes: list[dict[str, Any]] = [{"hashed_password": "x"}, {"is_staff": True}, {"is_active": False}]
    for changes in all_changes:
        granted = await login(client, user)
        await change(database, user, **changes)
        assert await token_status(client, granted["access_token"]) == 401
        assert (await refresh(client, granted["refresh_token"])).status_code == 401
        await set_all(database, User, hashed_password=user.hashed_password, is_active=True)


async def test_jwt_ends_with_sign_in(client: AsyncClient, user: User, settings: Settings, database: Database) -> None:
    granted = await login(client, user)
    claims = jwt.decode(granted["access_token"], options={"verify_signature": False})
    expired_jwt = jwt.encode({**claims, "exp": 1}, derived_key(settings, "accounts: jwt"), "HS256")
    assert (await client.post(LOGOUT, headers=bearer(expired_jwt))).status_code == 204
    assert await token_status(client, granted["access_token"]) == 401
    assert (await refresh(client, granted["refresh_token"])).status_code == 401
    assert (await client.post(LOGOUT, headers=bearer("a.b.c"))).status_code == 204
    granted = await login(client, user)
    await set_all(database, ApiToken, expires_at=utc_now())
    assert await token_status(client, granted["access_token"]) == 401
    assert (await refresh(client, granted["refresh_token"])).status_code == 401


@pytest.mark.database("postgresql")
async def test_retried_refresh_gets_the_same_token(client: AsyncClient, user: User) -> None:
    first = await login(client, user)
    responses = await asyncio.gather(*(refresh(client, first["refresh_token"]) for _ in range(2)))
    assert [response.status_code for response in responses] == [200, 200]
    (next_token,) = {response.json()["refresh_token"] for response in responses}
    assert next_token != first["refresh_token"]
    for response in responses:
        assert await token_status(client, response.json()["access_token"]) == 200
    assert (await refresh(client, next_token)).status_code == 200


async def test_reused_refresh_token_ends_the_sign_in(
    client: AsyncClient, user: User, database: Database, recorded_jobs: RecordedJobs
) -> None:
    other_tokens, stolen = await login(client, user), await login(client, user)
    thief = (await refresh(client, stolen["refresh_token"])).json()
    await set_all(database, ApiToken, refreshed_at=utc_now() - timedelta(seconds=11))
    assert (await refresh(client, stolen["refresh_token"])).status_code == 401
    assert await token_status(client, thief["access_token"]) == 401
    assert (await refresh(client, thief["refresh_token"])).status_code == 401
    assert await token_status(client, other_tokens["access_token"]) == 200, "other sign-ins stay valid"
    assert (await refresh(client, other_tokens["refresh_token"])).status_code == 200
    (email,) = recorded_jobs.outbox
    assert (email.to, email.subject) == (user.email, "A program was signed out")


async def test_fallback_secret_key_still_works(app: FastAPI, client: AsyncClient, user: User) -> None:
    granted = await login(client, user)
    settings: Settings = app.state.settings
    old_key = SecretStr(settings.secret_keys[0])
    rotated = {"secret_key": SecretStr("a new secret key of many letters"), "secret_key_fallbacks": old_key}
    app.state.settings = settings.model_copy(update=rotated)
    assert await token_status(client, granted["access_token"]) == 200
    refreshed = (await refresh(client, granted["refresh_token"])).json()
    app.state.settings = settings.model_copy(update={**rotated, "secret_key_fallbacks": SecretStr("")})
    assert await token_status(client, granted["access_token"]) == 401
    assert await token_status(client, refreshed["access_token"]) == 200
    app.state.settings = app.state.settings.model_copy(update={"bearer": "token"})
    granted = await login(client, user)
    assert granted.keys() == {"access_token", "token_type"}
    assert (await refresh(client, granted["access_token"])).status_code == 404


async def test_jwt_is_invalid_for_a_reused_user_id(client: AsyncClient, user: User, database: Database) -> None:
    old_token, user_id = (await login(client, user))["access_token"], user.id
    await delete_row(database, user)
    new_user = await make_user(database, "eve@example.com", is_verified=True)
    new_token = (await login(client, new_user))["access_token"]
    assert new_user.id == user_id
    assert (await token_status(client, new_token), await token_status(client, old_token)) == (200, 401)


async def test_reused_refresh_token_ends_later_ones(client: AsyncClient, user: User) -> None:
    first = await login(client, user)
    second = (await refresh(client, first["refresh_token"])).json()
    third = (await refresh(client, second["refresh_token"])).json()
    assert (await refresh(client, first["refresh_token"])).status_code == 401
    assert (await refresh(client, third["refresh_token"])).status_code == 401
