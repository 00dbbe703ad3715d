import pytest
from httpx import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.demo import EMAILS, clear, load
from opportune.accounts.models import User
from opportune.db.database import Database
from opportune.testing.factories import make_user

# What differs between the databases is marked `on_both`.
pytestmark = pytest.mark.database("sqlite")

on_both = pytest.mark.database("sqlite", "postgresql")


async def emails(database: Database) -> list[str]:
    async with database.reader() as session:
        return list(await session.scalars(select(col(User.email)).order_by(col(User.id))))


async def test_the_people_of_the_demo_say_that_they_are_made_up(database: Database) -> None:
    async with database.writer() as session:
        assert await load(session) == len(EMAILS)
    assert sorted(await emails(database)) == sorted(EMAILS)
    assert all(email.endswith("@made-up.example") for email in EMAILS)


async def test_nobody_signs_in_as_one_of_them(client: AsyncClient, database: Database) -> None:
    async with database.writer() as session:
        await load(session)
        assert not await session.scalar(select(User).where(col(User.is_superuser)))
    for password in ("", "password", "made-up"):
        form = {"username": EMAILS[0], "password": password}
        assert (await client.post("/api/v1/auth/login", data=form)).status_code in (401, 422), password


async def test_loading_again_adds_only_who_is_missing(database: Database) -> None:
    async with database.writer() as session:
        await load(session)
    async with database.writer() as session:
        changed, gone = await session.scalars(select(User).order_by(col(User.id)).limit(2))
        changed.email = "renamed@example.com"
        await session.delete(gone)
    async with database.writer() as session:
        assert await load(session) == 1
    async with database.writer() as session:
        assert await load(session) == 0


async def test_clearing_leaves_everybody_else_also_with_a_name_of_the_demo(database: Database) -> None:
    await make_user(database, EMAILS[0])
    async with database.writer() as session:
        assert await load(session) == len(EMAILS) - 1
    async with database.writer() as session:
        assert await clear(session) == len(EMAILS) - 1
    assert await emails(database) == [EMAILS[0]]
