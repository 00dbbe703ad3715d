"""Demo users."""

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.demo import EMAILS, clear, load
from opportune.accounts.models import User
from opportune.cli.database import demo
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.feature import Data, Demo, Feature
from opportune.i18n import current_language
from opportune.testing.factories import make_user
from tests.opportune.accounts.stored_rows import change, delete, read_all


async def read_emails(database: Database) -> list[str]:
    return [user.email for user in await read_all(database, User)]


async def test_demo_users_have_example_addresses_and_no_password(client: AsyncClient, database: Database) -> None:
    async with database.writer() as session:
        assert await load(session) == len(EMAILS)
    assert sorted(await read_emails(database)) == sorted(EMAILS)
    assert all(email.endswith("@made-up.example") for email in EMAILS)
    assert await read_all(database, User, is_superuser=True) == []
    for password in ("", "password", "made-up"):
        form = {"username": EMAILS[0], "password": password}
        assert (await client.post("/api/v1/auth/login", data=form)).status_code in (401, 422), password


async def test_loading_again_adds_missing_users_only(database: Database) -> None:
    async with database.writer() as session:
        await load(session)
    renamed_user, deleted_user, *_ = await read_all(database, User)
    await change(database, renamed_user, email="renamed@example.com")
    await delete(database, deleted_user)
    for expected_count in (1, 0):
        async with database.writer() as session:
            assert await load(session) == expected_count


async def test_clearing_keeps_real_users(database: Database) -> None:
    await make_user(database, EMAILS[0])
    async with database.writer() as session:
        assert await load(session) == len(EMAILS) - 1
    async with database.writer() as session:
        assert await clear(session) == len(EMAILS) - 1
    assert await read_emails(database) == [EMAILS[0]]


async def test_demo_has_the_language_of_the_site(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def load(_session: AsyncSession) -> int:
        languages.append(current_language.get())
        return 0

    languages: list[str] = []
    feature = Feature("sample", "Sample.", data=Data(demo=Demo(load, load)))
    monkeypatch.setattr(demo, "installed_features", lambda: [feature])
    monkeypatch.setattr(demo, "get_settings", lambda: Settings(_env_file=None, language="de"))
    async with database.writer() as session:
        await demo.load_all(session)
    assert languages == ["de"]
