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


@pytest.mark.parametrize(
    ("changes", "remaining"),
    [
        ({"audit_days": 30}, ["1", "29"]),
        pytest.param({"audit_days": 0}, ["1", "29", "31", "800"], id="zero keeps all entries"),
        pytest.param({}, ["1", "29", "31"], id="two years by default"),
    ],
)
async def test_entries_are_deleted_after_the_set_days(
    database: Database, settings: Settings, changes: dict[str, int], remaining: list[str]
) -> None:
    now = utc_now()
    async with database.writer() as session:
        for days in (1, 29, 31, 800):
            at = now - timedelta(days=days)
            session.add(AuditEntry(action="update", identity="book", title=str(days), at=at))
    await clean_up(database, settings.model_copy(update=changes), admin.jobs.cleanups)
    async with database.reader(fresh=True) as session:
        titles = await session.scalars(select(col(AuditEntry.title)).order_by(col(AuditEntry.id)))
        assert list(titles) == remaining
