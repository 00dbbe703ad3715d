"""Codes of authenticator apps, and recovery codes."""

import asyncio
import time

import pyotp
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select
from sqlmodel import col

from opportune.accounts.models import RecoveryCode, User
from opportune.accounts.sign_in_methods import second_factor
from opportune.accounts.sign_in_methods.second_factor import (
    RECOVERY_CODE_COUNT,
    count_recovery_codes,
    renew_recovery_codes,
    setup_is_required,
)
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import make_user
from opportune.testing.plugin import SECRET_KEY

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


async def reload_user(database: Database, user: User) -> User:
    async with database.reader(fresh=True) as session:
        return await session.get_one(User, user.id)


async def verify(database: Database, settings: Settings, user: User, code: str) -> bool:
    user = await reload_user(database, user)
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


async def test_recovery_code_is_valid_once_for_its_owner(database: Database, settings: Settings) -> None:
    user, other = await make_user(database), await make_user(database)
    _, codes = await enable_totp(database, settings, user)
    await enable_totp(database, settings, other)

    assert len(set(codes)) == RECOVERY_CODE_COUNT
    assert not await verify(database, settings, other, codes[0])
    assert await verify(database, settings, user, codes[0])
    assert not await verify(database, settings, user, codes[0])
    async with database.reader() as session:
        assert await count_recovery_codes(session, user) == RECOVERY_CODE_COUNT - 1

    async with database.writer() as session:
        new_codes = await renew_recovery_codes(session, user)
    assert not await verify(database, settings, user, codes[1]), "new codes replace the old ones"
    assert await verify(database, settings, user, new_codes[0])


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

    async with database.reader() as session:
        assert await count_recovery_codes(session, user) == RECOVERY_CODE_COUNT


async def test_disabling_deletes_key_and_codes(database: Database, settings: Settings) -> None:
    user = await make_user(database)
    totp_app, codes = await enable_totp(database, settings, user)

    async with database.writer() as session:
        await second_factor.disable(session, user)

    user = await reload_user(database, user)
    assert not user.has_two_factor
    assert not await verify(database, settings, user, make_code(totp_app, 1))
    assert not await verify(database, settings, user, codes[0])
    async with database.reader() as session:
        assert await session.scalar(select(func.count()).select_from(RecoveryCode)) == 0


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

    stored = (await reload_user(database, user)).totp_secret
    async with database.reader() as session:
        hashes = " ".join(await session.scalars(select(col(RecoveryCode.code_hash))))

    assert totp_app.secret not in stored
    assert not any(part in hashes for code in codes for part in (code, code.replace("-", "")))

    async with database.writer() as session:
        (await session.get_one(User, thief.id)).totp_secret = stored

    assert not await verify(database, settings, thief, make_code(totp_app, 1))


async def test_key_survives_a_new_secret_key(database: Database, settings: Settings) -> None:
    user = await make_user(database)
    totp_app, codes = await enable_totp(database, settings, user)
    both_keys = {"secret_key": SecretStr(OTHER_KEY), "secret_key_fallbacks": SecretStr(SECRET_KEY)}
    rotated = settings.model_copy(update=both_keys)
    after_rotation = settings.model_copy(update={"secret_key": SecretStr(OTHER_KEY)})

    async with database.writer() as session:
        (await session.get_one(User, user.id)).totp_step = 0
    assert await verify(database, rotated, user, totp_app.now())
    assert await verify(database, after_rotation, user, make_code(totp_app, 1))
    assert await verify(database, after_rotation, user, codes[0])


async def test_setup_is_bound_to_user_and_time(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, other = await make_user(database), await make_user(database)
    setup = second_factor.start_setup(settings, user)

    resumed = second_factor.resume_setup(settings, user, setup.sealed)
    assert resumed
    assert resumed.key == setup.key
    assert second_factor.resume_setup(settings, other, setup.sealed) is None
    assert second_factor.resume_setup(settings, user, "forged") is None
    monkeypatch.setattr(second_factor, "SETUP_TIMEOUT_SECONDS", -1)
    assert second_factor.resume_setup(settings, user, setup.sealed) is None


async def test_staff_without_second_factor_are_listed(database: Database, settings: Settings) -> None:
    strict = settings.model_copy(update={"needs_second_factor": "staff"})
    staff = await make_user(database, is_staff=True)
    superuser = await make_user(database, is_superuser=True)
    visitor = await make_user(database)

    required = [await setup_is_required(database, strict, user) for user in (staff, superuser, visitor)]
    assert required == [True, True, False]
    assert not await setup_is_required(database, settings, superuser)
    await enable_totp(database, settings, staff)
    assert not await setup_is_required(database, strict, await reload_user(database, staff))
