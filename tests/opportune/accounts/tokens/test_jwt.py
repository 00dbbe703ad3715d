"""BEARER=jwt: a JWT of minutes and a token to refresh it, which end with the row behind them."""

import asyncio
import hmac
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pyotp
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from pydantic import SecretStr
from sqlalchemy import update

from opportune.accounts.models import ApiToken, User
from opportune.config.settings import Settings
from opportune.config.signing import derived_key
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.testing.factories import PASSWORD, make_token, make_user
from opportune.testing.plugin import settings_for
from opportune.testing.recorded_jobs import RecordedJobs

LOGIN, REFRESH, LOGOUT, ME = (f"/api/v1/{path}" for path in ("auth/login", "auth/refresh", "auth/logout", "users/me"))


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return settings_for(database_url).model_copy(update={"bearer": "jwt", "jwt_minutes": 5})


@pytest.fixture
async def user(database: Database) -> User:
    return await make_user(database, "ada@example.com", is_verified=True)


async def login(client: AsyncClient, user: User, **more: str) -> dict[str, Any]:
    answer = await client.post(LOGIN, data={"username": user.email, "password": PASSWORD, **more})
    assert answer.status_code == 200, answer.text
    granted: dict[str, Any] = answer.json()
    return granted


async def status(client: AsyncClient, token: str) -> int:
    return (await client.get(ME, headers={"authorization": f"Bearer {token}"})).status_code


async def refresh(client: AsyncClient, token: str) -> Any:
    return await client.post(REFRESH, json={"refresh_token": token})


@pytest.mark.database("sqlite")
async def test_signing_in_gives_a_jwt_of_minutes_that_says_its_scopes_and_never_comes_back(
    client: AsyncClient, user: User, settings: Settings, database: Database
) -> None:
    granted = await login(client, user)
    claims = jwt.decode(granted["access_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["exp"] - claims["iat"], granted["expires_in"]) == (str(user.id), 300, 300)
    assert await status(client, granted["access_token"]) == 200
    assert await status(client, granted["refresh_token"]) == 401, "it opens nothing itself"

    granted = await login(client, user, scope="accounts:read")
    for each in (granted, (await refresh(client, granted["refresh_token"])).json()):
        claims = jwt.decode(each["access_token"], options={"verify_signature": False})
        assert (claims["scope"], each["scope"]) == ("accounts:read", "accounts:read")
        assert await status(client, each["access_token"]) == 200
        headers = {"authorization": f"Bearer {each['access_token']}"}
        assert (await client.get(f"{ME}/sessions", headers=headers)).status_code == 403

    old = (await login(client, user))["access_token"]
    await client.post(LOGOUT, headers={"authorization": f"Bearer {old}"})
    new = (await login(client, user))["access_token"]
    assert await status(client, old) == 401
    await client.post(LOGOUT, headers={"authorization": f"Bearer {old}"})
    assert await status(client, new) == 200

    assert await status(client, await make_token(database, user)) == 200

    first = await login(client, user)
    second = (await refresh(client, first["refresh_token"])).json()
    third = (await refresh(client, second["refresh_token"])).json()
    assert (await refresh(client, first["refresh_token"])).status_code == 401
    assert (await refresh(client, third["refresh_token"])).status_code == 401


@pytest.mark.database("sqlite")
async def test_what_is_no_jwt_or_no_refresh_token_of_ours_is_refused_and_ends_nothing(
    client: AsyncClient, user: User, settings: Settings, database: Database
) -> None:
    real = (await login(client, user))["access_token"]
    claims = jwt.decode(real, options={"verify_signature": False})
    key = derived_key(settings, "accounts: jwt")

    def made(key: str = key, algorithm: str = "HS256", **changed: Any) -> str:
        wanted = {name: value for name, value in {**claims, **changed}.items() if value is not None}
        return jwt.encode(wanted, key, algorithm)

    assert await status(client, made()) == 200
    wrong = [
        made("another key that is long enough for it"),
        made("", "none"),
        made(algorithm="HS512"),
        made(aud="fastapi-users:auth"),
        made(aud=None),
        made(exp=None),
        made(exp=utc_now() - timedelta(seconds=1)),
        made(sid=None),
        made(sid="1"),
        made(sid=True) if claims["sid"] != 1 else made(sid=2),
        made(sid=2**70),
        made(sub="999"),
        made(sub="²"),
        f"{real}x",
        real.rpartition(".")[0] + ".",
        "a.b.c",
    ]
    assert [await status(client, token) for token in wrong] == [401] * len(wrong)

    ended, granted = await login(client, user), None
    await client.post(LOGOUT, headers={"authorization": f"Bearer {ended['access_token']}"})
    granted = await login(client, user)  # SQLite gives it the number of the row that is gone
    real = granted["refresh_token"]
    forged = real[:-4] + ("AAAA" if real[-4:] != "AAAA" else "BBBB")
    for nonsense in ("", "x", "ü", granted["access_token"][:200], forged, ended["refresh_token"]):
        assert (await refresh(client, nonsense)).status_code == 401
    assert (await refresh(client, real)).status_code == 200


@pytest.mark.database("sqlite")
async def test_it_ends_with_the_password_the_rights_and_the_account(
    client: AsyncClient, database: Database, user: User
) -> None:
    for change in ({"hashed_password": "x"}, {"is_staff": True}, {"is_active": False}):
        granted = await login(client, user)
        async with database.writer() as session:
            known = await session.get_one(User, user.id)
            known.sqlmodel_update(change)
        assert await status(client, granted["access_token"]) == 401
        assert (await refresh(client, granted["refresh_token"])).status_code == 401
        async with database.writer() as session:  # by a statement, which ends nothing
            await session.execute(update(User).values(hashed_password=user.hashed_password, is_active=True))


@pytest.mark.database("sqlite")
async def test_it_ends_where_the_sign_in_ends_and_signing_out_ends_both_also_when_the_jwt_is_over(
    client: AsyncClient, user: User, settings: Settings, database: Database
) -> None:
    granted = await login(client, user)
    claims = jwt.decode(granted["access_token"], options={"verify_signature": False})
    over = jwt.encode({**claims, "exp": 1}, derived_key(settings, "accounts: jwt"), "HS256")
    answer = await client.post(LOGOUT, headers={"authorization": f"Bearer {over}"})
    assert answer.status_code == 204
    assert await status(client, granted["access_token"]) == 401
    assert (await refresh(client, granted["refresh_token"])).status_code == 401
    assert (await client.post(LOGOUT, headers={"authorization": "Bearer a.b.c"})).status_code == 204

    granted = await login(client, user)
    async with database.writer() as session:
        await session.execute(update(ApiToken).values(expires_at=utc_now()))
    assert await status(client, granted["access_token"]) == 401
    assert (await refresh(client, granted["refresh_token"])).status_code == 401


@pytest.mark.database("postgresql")
async def test_a_client_that_asks_twice_at_once_is_given_the_same_refresh_token(
    client: AsyncClient, user: User
) -> None:
    first = await login(client, user)
    answers = await asyncio.gather(*(refresh(client, first["refresh_token"]) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [200, 200]
    (following,) = {answer.json()["refresh_token"] for answer in answers}
    assert following != first["refresh_token"]
    for answer in answers:
        assert await status(client, answer.json()["access_token"]) == 200
    assert (await refresh(client, following)).status_code == 200


@pytest.mark.database("sqlite")
async def test_a_refresh_token_that_is_used_twice_ends_its_sign_in_and_its_owner_is_told(
    client: AsyncClient, user: User, database: Database, recorded_jobs: RecordedJobs
) -> None:
    other, stolen = await login(client, user), await login(client, user)
    thief = (await refresh(client, stolen["refresh_token"])).json()
    async with database.writer() as session:
        await session.execute(update(ApiToken).values(refreshed_at=utc_now() - timedelta(seconds=11)))

    assert (await refresh(client, stolen["refresh_token"])).status_code == 401

    assert await status(client, thief["access_token"]) == 401
    assert (await refresh(client, thief["refresh_token"])).status_code == 401
    assert await status(client, other["access_token"]) == 200, "another sign-in goes on"
    assert (await refresh(client, other["refresh_token"])).status_code == 200
    (told,) = recorded_jobs.outbox
    assert (told.to, told.subject) == (user.email, "A program was signed out")


@pytest.mark.database("sqlite")
async def test_one_that_was_given_before_they_told_whose_they_are_counts_once(
    client: AsyncClient, user: User, database: Database, settings: Settings
) -> None:
    old = "opp_" + "x" * 43
    await login(client, user)
    async with database.writer() as session:
        key = derived_key(settings, "accounts: jwt")
        hashed = hmac.digest(key.encode(), old.encode(), "sha256").hex()
        await session.execute(update(ApiToken).values(token_hash=hashed))
    following = (await refresh(client, old)).json()["refresh_token"]
    assert (await refresh(client, old)).status_code == 401
    assert (await refresh(client, following)).status_code == 200


@pytest.mark.database("sqlite")
async def test_what_an_older_secret_key_signed_still_counts_and_a_row_has_nothing_to_refresh(
    app: FastAPI, client: AsyncClient, user: User
) -> None:
    granted = await login(client, user)
    settings: Settings = app.state.settings
    older = SecretStr(settings.secret_keys[0])
    rotated = {"secret_key": SecretStr("a new secret key of many letters"), "secret_key_fallbacks": older}
    app.state.settings = settings.model_copy(update=rotated)
    assert await status(client, granted["access_token"]) == 200
    newer = (await refresh(client, granted["refresh_token"])).json()
    app.state.settings = settings.model_copy(update={**rotated, "secret_key_fallbacks": SecretStr("")})
    assert await status(client, granted["access_token"]) == 401
    assert await status(client, newer["access_token"]) == 200

    app.state.settings = app.state.settings.model_copy(update={"bearer": "token"})
    granted = await login(client, user)
    assert granted.keys() == {"access_token", "token_type"}
    assert (await refresh(client, granted["access_token"])).status_code == 404


@pytest.mark.database("sqlite")
async def test_turning_on_a_second_factor_ends_the_others_and_not_the_one_that_does_it(
    client: AsyncClient, user: User
) -> None:
    mine, other = await login(client, user), await login(client, user)
    client.headers["authorization"] = f"Bearer {mine['access_token']}"
    setup = (await client.post(f"{ME}/two-factor", json={"password": PASSWORD})).json()
    code = pyotp.TOTP(setup["key"]).now()
    assert (await client.put(f"{ME}/two-factor", json={"sealed": setup["sealed"], "code": code})).is_success
    assert (await status(client, mine["access_token"]), await status(client, other["access_token"])) == (200, 401)


@pytest.mark.database("sqlite")
async def test_it_does_not_open_the_account_that_gets_the_number_of_a_deleted_one(
    client: AsyncClient, user: User, database: Database
) -> None:
    old, number = (await login(client, user))["access_token"], user.id
    async with database.writer() as session:
        await session.delete(await session.get_one(User, number))
    heir = await make_user(database, "eve@example.com", is_verified=True)
    new = (await login(client, heir))["access_token"]
    assert (heir.id, await status(client, new), await status(client, old)) == (number, 200, 401)
