"""Codes of authenticator apps, and recovery codes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pyotp
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from opportune.accounts.models import RecoveryCode, User
from opportune.accounts.sign_in_methods import second_factor
from opportune.accounts.sign_in_methods.second_factor import RECOVERY_CODE_COUNT, renew_recovery_codes
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import make_user
from opportune.testing.plugin import SECRET_KEY
from tests.opportune.accounts.authenticator_app import AuthenticatorApp, add_authenticator_app
from tests.opportune.stored_rows import change, count, read_all, reload

OTHER_KEY = "another secret key for tests"


Verify = Callable[..., Awaitable[bool]]


@pytest.fixture
async def authenticator(database: Database, settings: Settings, user: User) -> AuthenticatorApp:
    return await add_authenticator_app(database, settings, user)


@pytest.fixture
def verify(database: Database, settings: Settings, user: User) -> Verify:
    """Function that verifies a code of Ada, or of another user."""

    async def verify(code: str, owner: User = user, settings: Settings = settings) -> bool:
        owner = await reload(database, owner)
        async with database.writer() as session:
            return await second_factor.verify_code(session, settings, owner, code)

    return verify


async def test_app_code_is_valid_once(database: Database, settings: Settings, user: User, verify: Verify) -> None:
    started_at = time.time()
    authenticator = await add_authenticator_app(database, settings, user)
    used_code, next_code = authenticator.totp.at(started_at), authenticator.code  # the period may end during the test
    codes = (used_code, next_code, next_code, used_code)
    assert [await verify(code) for code in codes] == [False, True, False, False]


@pytest.mark.database("postgresql")
async def test_concurrent_uses_of_a_code_succeed_once(authenticator: AuthenticatorApp, verify: Verify) -> None:
    for code in (authenticator.code, authenticator.recovery_codes[0]):
        outcomes = await asyncio.gather(*(verify(code) for _ in range(4)))
        assert sorted(outcomes) == [False, False, False, True]


async def test_code_is_checked(authenticator: AuthenticatorApp, verify: Verify, database: Database) -> None:
    user_without_app, other_app = await make_user(database), pyotp.TOTP(pyotp.random_base32())
    invalid_codes = (authenticator.code_in(3), authenticator.code_in(-3), other_app.now())
    for code in (*invalid_codes, "", "000", "\ud800", "1" * 5000):
        assert not await verify(code)
    for code in ("", "000000", "2345-6789-abcd-efgh"):
        assert not await verify(code, user_without_app)
    code = authenticator.code
    assert await verify(f" {code[:3]} {code[3:]} ")
    assert await verify(authenticator.recovery_codes[0].upper().replace("-", " "))


async def test_recovery_code_is_valid_for_its_owner(
    database: Database, settings: Settings, user: User, authenticator: AuthenticatorApp, verify: Verify
) -> None:
    other_user = await make_user(database)
    await add_authenticator_app(database, settings, other_user)
    assert not await verify(authenticator.recovery_codes[0], other_user)
    assert await verify(authenticator.recovery_codes[0])
    assert await count(database, RecoveryCode, user_id=user.id) == RECOVERY_CODE_COUNT - 1


@pytest.mark.database("postgresql")  # SQLite has one writer at a time
@pytest.mark.usefixtures("authenticator")
async def test_concurrent_renewals_leave_one_set_of_codes(database: Database, user: User) -> None:
    barrier = asyncio.Barrier(2)

    async def renew() -> None:
        async with database.writer() as session:
            await session.execute(select(1))
            await barrier.wait()
            await renew_recovery_codes(session, user)

    await asyncio.gather(renew(), renew())
    assert await count(database, RecoveryCode) == RECOVERY_CODE_COUNT


async def test_second_setup_keeps_the_first_key(
    database: Database, settings: Settings, user: User, authenticator: AuthenticatorApp, verify: Verify
) -> None:
    second_key = second_factor.start_setup(settings, user).key
    async with database.writer() as session:
        assert await second_factor.enable(session, settings, user, second_key, pyotp.TOTP(second_key).now()) is None
    for code in (authenticator.code, authenticator.recovery_codes[0]):
        assert await verify(code)


async def test_keys_and_codes_are_stored_encrypted(
    database: Database, user: User, authenticator: AuthenticatorApp, verify: Verify
) -> None:
    stored = (await reload(database, user)).totp_secret
    hashes = " ".join(row.code_hash for row in await read_all(database, RecoveryCode))
    assert authenticator.totp.secret not in stored
    codes = authenticator.recovery_codes
    assert not any(part in hashes for code in codes for part in (code, code.replace("-", "")))
    assert not await verify(authenticator.code, await make_user(database, totp_secret=stored))


async def test_key_survives_a_new_secret_key(
    database: Database, settings: Settings, user: User, authenticator: AuthenticatorApp, verify: Verify
) -> None:
    both_keys = {"secret_key": SecretStr(OTHER_KEY), "secret_key_fallbacks": SecretStr(SECRET_KEY)}
    rotated = settings.model_copy(update=both_keys)
    after_rotation = settings.model_copy(update={"secret_key": SecretStr(OTHER_KEY)})
    await change(database, user, totp_step=0)
    assert await verify(authenticator.totp.now(), settings=rotated)
    for code in (authenticator.code, authenticator.recovery_codes[0]):
        assert await verify(code, settings=after_rotation)


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
    assert await second_factor.setup_is_required(database, settings, await make_user(database, **fields)) is is_required
