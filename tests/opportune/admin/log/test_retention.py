"""Removal of old entries of the log."""

from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.flows.deletion import delete_personal_data
from opportune.accounts.models import User
from opportune.admin.feature import admin
from opportune.admin.models import AuditEntry, RowVersion
from opportune.config.settings import Settings
from opportune.db import Database, utc_now, with_deleted
from opportune.jobs.cleanup import clean_up
from tests.opportune.admin.trash.parcel_feature import Parcel
from tests.opportune.stored_rows import add_rows, read_all
from tests.opportune.tables import make_tables

pytestmark = pytest.mark.database("sqlite", "postgresql")


@pytest.mark.parametrize(
    ("changes", "remaining"),
    [
        ({"audit_days": 30}, ["1", "29"]),
        pytest.param({"audit_days": 0}, ["1", "29", "31", "800"], id="zero keeps all entries"),
    ],
)
async def test_entries_are_deleted_after_the_set_days(
    database: Database, settings: Settings, changes: dict[str, int], remaining: list[str]
) -> None:
    rows = [(str(days), utc_now() - timedelta(days=days)) for days in (1, 29, 31, 800)]
    await add_rows(database, *(AuditEntry(action="update", identity="book", title=title, at=at) for title, at in rows))
    await clean_up(database, settings.model_copy(update=changes), admin.jobs.cleanups)
    assert [entry.title for entry in await read_all(database, AuditEntry)] == remaining


async def test_deleted_user_leaves_version_and_trash(app: FastAPI, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.admin.feature.tables_with", lambda _: [Parcel])
    await make_tables(app.state.database, Parcel)
    version = RowVersion(model_table="test_parcel", row_id="1", number=1, actor_id=user.id)
    async with app.state.database.writer() as session:
        session.add_all([version, Parcel(code="Gone", deleted_at=utc_now(), deleted_by_id=user.id)])
        await session.flush()
        await delete_personal_data(session, app.state.features, user)
        actors, deleted_by = select(col(RowVersion.actor_id)), with_deleted(select(col(Parcel.deleted_by_id)))
        assert [*await session.scalars(actors), *await session.scalars(deleted_by)] == [None, None]
