"""Demonstration rows with recent creation times."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import update
from sqlmodel import col

from opportune.accounts.models import User
from opportune.db import Database, DemoRows, utc_now
from opportune.db.models.demo_rows import MARK_MICROSECONDS
from opportune.testing import make_user
from tests.opportune.stored_rows import execute

FIRST = datetime(2026, 1, 5, 9, tzinfo=UTC)
demo_users = DemoRows(User, ["a", "b"], FIRST)

pytestmark = pytest.mark.database("sqlite", "postgresql")


async def test_creation_times_are_the_last_days(database: Database) -> None:
    async with database.reader() as session:
        times = [time for time, _ in await demo_users.missing(session)]
    today = utc_now().date()
    assert [time.date() for time in times] == [today - timedelta(2), today - timedelta(1)]


async def set_time(database: Database, user: User, time: datetime) -> None:
    await execute(database, update(User).where(col(User.id) == user.id).values(created_at=time))


async def test_rows_of_other_days_and_releases_are_recognised(database: Database, user: User) -> None:
    async with database.reader() as session:
        time, _ = (await demo_users.missing(session))[0]
    await set_time(database, user, time - timedelta(30))
    async with database.writer() as session:
        assert [sample for _, sample in await demo_users.missing(session)] == ["b"]
        assert await demo_users.clear(session) == 1
    await set_time(database, await make_user(database), FIRST)
    async with database.writer() as session:
        assert [sample for _, sample in await demo_users.missing(session)] == ["b"]
        assert await demo_users.clear(session) == 1


async def test_first_time_may_have_another_zone(database: Database) -> None:
    rows = DemoRows(User, ["a", "b"], FIRST.astimezone(timezone(timedelta(hours=3))))
    await set_time(database, await make_user(database), FIRST.replace(month=2, microsecond=MARK_MICROSECONDS))
    async with database.reader() as session:
        assert [sample for _, sample in await rows.missing(session)] == ["b"]


async def test_rows_of_the_same_second_are_kept(database: Database) -> None:
    await set_time(database, await make_user(database), utc_now().replace(hour=9, minute=0, second=0, microsecond=0))
    async with database.writer() as session:
        assert len(await demo_users.missing(session)) == 2
        assert await demo_users.clear(session) == 0
