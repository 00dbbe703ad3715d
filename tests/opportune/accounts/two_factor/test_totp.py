import asyncio
import time

import pyotp
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select
from sqlmodel import col

from opportune.accounts.models import RecoveryCode, User
from opportune.accounts.sign_in_methods import totp
from opportune.accounts.sign_in_methods.recovery_codes import (
    RECOVERY_CODE_COUNT,
    count_recovery_codes,
    renew_recovery_codes,
)
from opportune.accounts.sign_in_methods.second_factor import setup_is_required
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.testing.factories import make_user
from opportune.testing.plugin import SECRET_KEY

PERIOD = 30
OTHER_KEY = "another key for tests that opens nothing either"


on_sqlite = pytest.mark.database("sqlite")


async def turned_on(database: Database, settings: Settings, user: User) -> tuple[pyotp.TOTP, list[str]]:
    """The user's app, and the recovery codes. The code of this moment is used up."""
    key = totp.start_setup(settings, user).key
    app = pyotp.TOTP(key)
    async with database.writer() as session:
        codes = await totp.enable(session, settings, user, key, app.now())
    assert codes
    return app, codes


async def fresh(database: Database, user: User) -> User:
    async with database.reader(fresh=True) as session:
        return await session.get_one(User, user.id)


async def verify(database: Database, settings: Settings, user: User, code: str) -> bool:
    user = await fresh(database, user)
    async with database.writer() as session:
        return await totp.verify_code(session, settings, user, code)


def code_of(app: pyotp.TOTP, periods: int) -> str:
    return app.at(time.time() + periods * PERIOD)


@pytest.mark.database("sqlite")
async def test_a_code_of_the_app_counts_once(database: Database, settings: Settings) -> None:
    user = await make_user(database)
    app, _ = await turned_on(database, settings, user)

    assert not await verify(database, settings, user, app.now())
    assert await verify(database, settings, user, code_of(app, 1))
    assert not await verify(database, settings, user, code_of(app, 1))
    assert not await verify(database, settings, user, app.now())


@pytest.mark.database("postgresql")
async def test_of_two_requests_at_once_with_one_code_one_gets_in(database: Database, settings: Settings) -> None:
    user = await make_user(database)
    app, codes = await turned_on(database, settings, user)

    for code in (code_of(app, 1), codes[0]):
        outcomes = await asyncio.gather(*(verify(database, settings, user, code) for _ in range(4)))
        assert sorted(outcomes) == [False, False, False, True]


@on_sqlite
async def test_codes_of_other_times_and_keys_do_not_count_and_right_ones_may_be_written_as_apps_show_them(
    database: Database, settings: Settings
) -> None:
    user, without = await make_user(database), await make_user(database)
    app, codes = await turned_on(database, settings, user)
    other = pyotp.TOTP(pyotp.random_base32())

    for code in (code_of(app, 3), code_of(app, -3), code_of(other, 1), "", "000", "\ud800", "1" * 5000):
        assert not await verify(database, settings, user, code)
    for code in ("", "000000", "2345-6789-abcd-efgh"):
        assert not await verify(database, settings, without, code)

    code = code_of(app, 1)
    assert await verify(database, settings, user, f" {code[:3]} {code[3:]} ")
    assert await verify(database, settings, user, codes[0].upper().replace("-", " "))


@pytest.mark.database("sqlite")
async def test_each_recovery_code_counts_once_and_for_its_owner(database: Database, settings: Settings) -> None:
    user, other = await make_user(database), await make_user(database)
    _, codes = await turned_on(database, settings, user)
    await turned_on(database, settings, other)

    assert len(set(codes)) == RECOVERY_CODE_COUNT
    assert not await verify(database, settings, other, codes[0])
    assert await verify(database, settings, user, codes[0])
    assert not await verify(database, settings, user, codes[0])
    async with database.reader() as session:
        assert await count_recovery_codes(session, user) == RECOVERY_CODE_COUNT - 1

    async with database.writer() as session:
        new = await renew_recovery_codes(session, user)
    assert not await verify(database, settings, user, codes[1]), "new ones end the old ones"
    assert await verify(database, settings, user, new[0])


@pytest.mark.database("postgresql")  # SQLite lets one write at a time
async def test_codes_renewed_twice_at_once_leave_one_set(database: Database, settings: Settings) -> None:
    user = await make_user(database)
    await turned_on(database, settings, user)
    both = asyncio.Barrier(2)

    async def renew() -> None:
        async with database.writer() as session:
            await session.execute(select(1))
            await both.wait()
            await renew_recovery_codes(session, user)

    await asyncio.gather(renew(), renew())

    async with database.reader() as session:
        assert await count_recovery_codes(session, user) == RECOVERY_CODE_COUNT


@on_sqlite
async def test_turned_off_leaves_nothing_behind(database: Database, settings: Settings) -> None:
    user = await make_user(database)
    app, codes = await turned_on(database, settings, user)

    async with database.writer() as session:
        await totp.disable(session, user)

    user = await fresh(database, user)
    assert not user.has_two_factor
    assert not await verify(database, settings, user, code_of(app, 1))
    assert not await verify(database, settings, user, codes[0])
    async with database.reader() as session:
        assert await session.scalar(select(func.count()).select_from(RecoveryCode)) == 0


@on_sqlite
async def test_turning_on_twice_leaves_the_first_key(database: Database, settings: Settings) -> None:
    user = await make_user(database)
    app, codes = await turned_on(database, settings, user)
    second = totp.start_setup(settings, user).key

    async with database.writer() as session:
        assert await totp.enable(session, settings, user, second, pyotp.TOTP(second).now()) is None

    assert await verify(database, settings, user, code_of(app, 1))
    assert await verify(database, settings, user, codes[0])


@on_sqlite
async def test_neither_key_nor_codes_are_stored_readable_and_a_sealed_key_opens_nothing_in_another_row(
    database: Database, settings: Settings
) -> None:
    user, thief = await make_user(database), await make_user(database)
    app, codes = await turned_on(database, settings, user)

    stored = (await fresh(database, user)).totp_secret
    async with database.reader() as session:
        hashes = " ".join(await session.scalars(select(col(RecoveryCode.code_hash))))

    assert app.secret not in stored
    assert not any(part in hashes for code in codes for part in (code, code.replace("-", "")))

    async with database.writer() as session:
        (await session.get_one(User, thief.id)).totp_secret = stored

    assert not await verify(database, settings, thief, code_of(app, 1))


@on_sqlite
async def test_a_key_in_use_outlives_the_secret_key_that_sealed_it(database: Database, settings: Settings) -> None:
    user = await make_user(database)
    app, codes = await turned_on(database, settings, user)
    both = {"secret_key": SecretStr(OTHER_KEY), "secret_key_fallbacks": SecretStr(SECRET_KEY)}
    rotated = settings.model_copy(update=both)
    later = settings.model_copy(update={"secret_key": SecretStr(OTHER_KEY)})

    async with database.writer() as session:
        (await session.get_one(User, user.id)).totp_step = 0
    assert await verify(database, rotated, user, app.now())
    assert await verify(database, later, user, code_of(app, 1))
    assert await verify(database, later, user, codes[0])


@on_sqlite
async def test_a_beginning_is_for_its_user_and_for_ten_minutes(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, other = await make_user(database), await make_user(database)
    beginning = totp.start_setup(settings, user)

    again = totp.resume_setup(settings, user, beginning.sealed)
    assert again
    assert again.key == beginning.key
    assert totp.resume_setup(settings, other, beginning.sealed) is None
    assert totp.resume_setup(settings, user, "nothing of ours") is None
    monkeypatch.setattr(totp, "SETUP_TIMEOUT_SECONDS", -1)
    assert totp.resume_setup(settings, user, beginning.sealed) is None


@on_sqlite
async def test_staff_miss_it_where_the_setting_asks_for_it(database: Database, settings: Settings) -> None:
    strict = settings.model_copy(update={"needs_second_factor": "staff"})
    staff = await make_user(database, is_staff=True)
    root = await make_user(database, is_superuser=True)
    visitor = await make_user(database)

    required = [await setup_is_required(database, strict, user) for user in (staff, root, visitor)]
    assert required == [True, True, False]
    assert not await setup_is_required(database, settings, root)
    await turned_on(database, settings, staff)
    assert not await setup_is_required(database, strict, await fresh(database, staff))
