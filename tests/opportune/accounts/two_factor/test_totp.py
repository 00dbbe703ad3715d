"""Codes of authenticator apps, and recovery codes."""

import asyncio
import time
from typing import Any

import pyotp
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from opportune.accounts.models import RecoveryCode, User
from opportune.accounts.sign_in_methods import second_factor
from opportune.accounts.sign_in_methods.second_factor import (
    RECOVERY_CODE_COUNT,
    renew_recovery_codes,
    setup_is_required,
)
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import make_user
from opportune.testing.plugin import SECRET_KEY
from tests.opportune.accounts.stored_rows import change, count, read_all, reload

PERIOD_SECONDS = 30
OTHER_KEY = "another secret key for tests"


async def enable_totp(database: Database, settings: Settings, user: User) -> tuple[pyotp.TOTP, list[str]]:
    """Enable TOTP with the current code. Return the authenticator app and the recovery codes."""
    key = second_factor.start_setup(settings, user).key
    totp_app = pyotp.TOTP(key)
    async with database.writer() as session:
        codes = await second_factor.enable(session, settings, user, key, totp_app.now())
    assert codes
    return totp_app, codes


async def verify(database: Database, settings: Settings, user: User, code: str) -> bool:
    user = await reload(database, user)
    async with database.writer() as session:
        return await second_factor.verify_code(session, settings, user, code)


def make_code(totp_app: pyotp.TOTP, periods: int) -> str:
    return totp_app.at(time.time() + periods * PERIOD_SECONDS)


async def test_app_code_is_valid_once(database: Database, settings: Settings) -> None:
    user, started_at = await make_user(database), time.time()
    totp_app, _ = await enable_totp(database, settings, user)
    used_code, next_code = totp_app.at(started_at), make_code(totp_app, 1)  # the period may end during the test
    assert not await verify(database, settings, user, used_code)
    assert await verify(database, settings, user, next_code)
    assert not await verify(database, settings, user, next_code)
    assert not await verify(database, settings, user, used_code)


@pytest.mark.database("postgresql")
async def test_concurrent_uses_of_a_code_succeed_once(database: Database, settings: Settings) -> None:
    user = await make_user(database)
    totp_app, codes = await enable_totp(database, settings, user)
    for code in (make_code(totp_app, 1), codes[0]):
        outcomes = await asyncio.gather(*(verify(database, settings, user, code) for _ in range(4)))
        assert sorted(outcomes) == [False, False, False, True]


async def test_code_format_and_time_are_checked(database: Database, settings: Settings) -> None:
    user, user_without_app = await make_user(database), await make_user(database)
    totp_app, codes = await enable_totp(database, settings, user)
    other_app = pyotp.TOTP(pyotp.random_base32())
    invalid_codes = (make_code(totp_app, 3), make_code(totp_app, -3), make_code(other_app, 1))
    for code in (*invalid_codes, "", "000", "\ud800", "1" * 5000):
        assert not await verify(database, settings, user, code)
    for code in ("", "000000", "2345-6789-abcd-efgh"):
        assert not await verify(database, settings, user_without_app, code)
    code = make_code(totp_app, 1)
    assert await verify(database, settings, user, f" {code[:3]} {code[3:]} ")
    assert await verify(database, settings, user, codes[0].upper().replace("-", " "))


async def test_recovery_code_is_valid_for_its_owner(database: Database, settings: Settings) -> None:
    user, other = await make_user(database), await make_user(database)
    _, codes = await enable_totp(database, settings, user)
    await enable_totp(database, settings, other)
    assert not await verify(database, settings, other, codes[0])
    assert await verify(database, settings, user, codes[0])
    assert await count(database, RecoveryCode, user_id=user.id) == RECOVERY_CODE_COUNT - 1


@pytest.mark.database("postgresql")  # SQLite has one writer at a time
async def test_concurrent_renewals_leave_one_set_of_codes(database: Database, settings: Settings) -> None:
    user = await make_user(database)
    await enable_totp(database, settings, user)
    barrier = asyncio.Barrier(2)

    async def renew() -> None:
        async with database.writer() as session:
            await session.execute(select(1))
            await barrier.wait()
            await renew_recovery_codes(session, user)

    await asyncio.gather(renew(), renew())
    assert await count(database, RecoveryCode) == RECOVERY_CODE_COUNT


async def test_second_setup_keeps_the_first_key(database: Database, settings: Settings) -> None:
    user = await make_user(database)
    totp_app, codes = await enable_totp(database, settings, user)
    second_key = second_factor.start_setup(settings, user).key
    async with database.writer() as session:
        assert await second_factor.enable(session, settings, user, second_key, pyotp.TOTP(second_key).now()) is None
    assert await verify(database, settings, user, make_code(totp_app, 1))
    assert await verify(database, settings, user, codes[0])


async def test_keys_and_codes_are_stored_encrypted(database: Database, settings: Settings) -> None:
    user, thief = await make_user(database), await make_user(database)
    totp_app, codes = await enable_totp(database, settings, user)
    stored = (await reload(database, user)).totp_secret
    hashes = " ".join(row.code_hash for row in await read_all(database, RecoveryCode))
    assert totp_app.secret not in stored
    assert not any(part in hashes for code in codes for part in (code, code.replace("-", "")))
    await change(database, thief, totp_secret=stored)
    assert not await verify(database, settings, thief, make_code(totp_app, 1))


async def test_key_survives_a_new_secret_key(database: Database, settings: Settings) -> None:
    user = await make_user(database)
    totp_app, codes = await enable_totp(database, settings, user)
    both_keys = {"secret_key": SecretStr(OTHER_KEY), "secret_key_fallbacks": SecretStr(SECRET_KEY)}
    rotated = settings.model_copy(update=both_keys)
    after_rotation = settings.model_copy(update={"secret_key": SecretStr(OTHER_KEY)})
    await change(database, user, totp_step=0)
    assert await verify(database, rotated, user, totp_app.now())
    assert await verify(database, after_rotation, user, make_code(totp_app, 1))
    assert await verify(database, after_rotation, user, codes[0])


@pytest.mark.parametrize(
    ("policy", "fields", "is_required"),
    [
        ("staff", {"is_staff": True}, True),
        ("staff", {"is_superuser": True}, True),
        ("staff", {"is_staff": True, "totp_secret": "sealed"}, False),
        ("staff", {}, False),
        ("none", {"is_superuser": True}, False),
    ],
)
async def test_policy_says_who_needs_a_second_factor(
    database: Database, settings: Settings, policy: str, fields: dict[str, Any], *, is_required: bool
) -> None:
    settings = settings.model_copy(update={"needs_second_factor": policy})
    assert await setup_is_required(database, settings, await make_user(database, **fields)) is is_required
