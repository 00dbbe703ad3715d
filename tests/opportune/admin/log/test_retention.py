"""Deletion of old entries of the audit log."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlmodel import col

from opportune.admin.feature import admin
from opportune.admin.models import AuditEntry
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.jobs.cleanup import clean_up

pytestmark = pytest.mark.database("sqlite", "postgresql")


async def add_entries(database: Database) -> None:
    async with database.writer() as session:
        for days in (1, 29, 31, 800):
            session.add(
                AuditEntry(action="update", identity="book", title=str(days), at=utc_now() - timedelta(days=days))
            )


async def read_titles(database: Database) -> list[str]:
    async with database.reader(fresh=True) as session:
        return [*await session.scalars(select(col(AuditEntry.title)).order_by(col(AuditEntry.id)))]


async def test_entries_are_deleted_after_the_set_days(database: Database, settings: Settings) -> None:
    await add_entries(database)
    assert await clean_up(database, settings.model_copy(update={"audit_days": 30}), admin.jobs.cleanups) == [2]
    assert await read_titles(database) == ["1", "29"]


async def test_zero_days_keep_all_entries(database: Database, settings: Settings) -> None:
    await add_entries(database)
    assert await clean_up(database, settings.model_copy(update={"audit_days": 0}), admin.jobs.cleanups) == [0]
    assert len(await read_titles(database)) == 4


async def test_entries_of_two_years_are_kept(database: Database, settings: Settings) -> None:
    await add_entries(database)
    await clean_up(database, settings, admin.jobs.cleanups)
    assert await read_titles(database) == ["1", "29", "31"]
