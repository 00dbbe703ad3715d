"""Demo users."""

import pytest
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.demo import EMAILS, clear, load
from opportune.accounts.models import User
from opportune.cli.database import demo
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.feature import Data, Demo, Feature
from opportune.i18n import current_language
from opportune.testing.factories import make_user


async def read_emails(database: Database) -> list[str]:
    async with database.reader() as session:
        return list(await session.scalars(select(col(User.email)).order_by(col(User.id))))


async def test_demo_users_have_example_addresses(database: Database) -> None:
    async with database.writer() as session:
        assert await load(session) == len(EMAILS)
    assert sorted(await read_emails(database)) == sorted(EMAILS)
    assert all(email.endswith("@made-up.example") for email in EMAILS)


async def test_demo_users_cannot_sign_in(client: AsyncClient, database: Database) -> None:
    async with database.writer() as session:
        await load(session)
        assert not await session.scalar(select(User).where(col(User.is_superuser)))
    for password in ("", "password", "made-up"):
        form = {"username": EMAILS[0], "password": password}
        assert (await client.post("/api/v1/auth/login", data=form)).status_code in (401, 422), password


async def test_loading_again_adds_missing_users_only(database: Database) -> None:
    async with database.writer() as session:
        await load(session)
    async with database.writer() as session:
        renamed_user, deleted_user = await session.scalars(select(User).order_by(col(User.id)).limit(2))
        renamed_user.email = "renamed@example.com"
        await session.delete(deleted_user)
    async with database.writer() as session:
        assert await load(session) == 1
    async with database.writer() as session:
        assert await load(session) == 0


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
